-- Migration 2: plans that were run for real, beside what was predicted of them.
--
-- An execution belongs to the run that holds its prediction, which was stored before it began: the
-- run's trace_hash covers the predicted start and end of every task.

CREATE TABLE execution (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  backend TEXT NOT NULL,     -- "paced", "cpu", ...
  settings TEXT NOT NULL,    -- canonical JSON
  repeats INTEGER NOT NULL CHECK (repeats > 0),
  iteration_time_ps INTEGER NOT NULL CHECK (iteration_time_ps > 0),  -- of the fastest repeat
  lateness_p99_s REAL NOT NULL,  -- by which waits and hand-overs came late
  started_at TEXT NOT NULL,
  command TEXT NOT NULL,
  version TEXT NOT NULL,
  host TEXT NOT NULL
) STRICT;

CREATE TABLE executed_task (
  execution INTEGER NOT NULL REFERENCES execution ON DELETE CASCADE,
  task INTEGER NOT NULL,       -- in the structural order of the lowered plan
  kind TEXT NOT NULL,
  place TEXT NOT NULL,         -- device or link
  predicted_start_ps INTEGER NOT NULL,
  predicted_end_ps INTEGER NOT NULL,
  start_ps INTEGER NOT NULL,   -- of the fastest repeat, since its first task could start
  end_ps INTEGER NOT NULL,
  PRIMARY KEY (execution, task)
) STRICT, WITHOUT ROWID;

CREATE VIEW executions AS
SELECT execution.id AS execution, run.identity, model, cluster, devices, batch, network,
       method.name AS method, method.settings AS method_settings, seed, trace_hash,
       run.started_at AS predicted_at, execution.started_at, backend,
       execution.settings AS settings, repeats,
       run.iteration_time_ps AS predicted_ps, execution.iteration_time_ps AS measured_ps,
       CAST(run.iteration_time_ps AS REAL) / execution.iteration_time_ps - 1 AS error,
       lateness_p99_s, execution.command, execution.version, execution.host
FROM execution JOIN run ON run.id = execution.run JOIN instance ON instance.id = run.instance
     JOIN method ON method.id = run.method
ORDER BY model, cluster, devices, batch, network, method.name, method.settings, seed, execution.id;

CREATE VIEW executed_tasks AS
SELECT execution, task, kind, place, predicted_start_ps, predicted_end_ps, start_ps, end_ps
FROM executed_task ORDER BY execution, task;
