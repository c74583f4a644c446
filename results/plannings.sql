-- What planners (strategies/uniap) said of their plans, beside what was simulated: a query, not a
-- view, because a schema may not call functions on JSON where it is not trusted.
--
-- A planner's run has its whole record as the JSON of its plan; nothing is stored twice. Analytic
-- figures (objective, bound) are seconds of the named cost model, simulated ones the simulator's.

SELECT identity, model, cluster, devices, batch, method.name AS method,
       json_extract(json, '$.cost_model') AS cost_model,
       json_extract(json, '$.tables') AS tables,
       json_extract(json, '$.pp') AS pp, json_extract(json, '$.microbatches') AS microbatches,
       json_extract(json, '$.objective_s') AS objective_s,
       json_extract(json, '$.bound_s') AS bound_s, json_extract(json, '$.proven') AS proven,
       json_extract(json, '$.iteration_time_s') AS simulated_s,
       json_extract(json, '$.oracle_best_s') AS oracle_best_s,
       json_extract(json, '$.oracle_gap') AS oracle_gap,
       json_extract(json, '$.oracle_spearman') AS spearman,
       json_extract(json, '$.oracle_kendall') AS kendall,
       json_extract(json, '$.oracle_candidates') AS candidates,
       json_extract(json, '$.grid_infeasible') AS grid_infeasible,
       json_extract(json, '$.grid_spread') AS grid_spread,
       json_extract(json, '$.table_cpu_s') AS table_cpu_s,
       json_extract(json, '$.search_cpu_s') AS search_cpu_s,
       json_extract(json, '$.infeasible_reason') AS infeasible_reason
FROM run JOIN plan ON plan.run = run.id JOIN instance ON instance.id = run.instance
     JOIN method ON method.id = run.method
WHERE json_extract(json, '$.cost_model') IS NOT NULL
ORDER BY model, cluster, devices, batch, method.name, method.settings, seed
