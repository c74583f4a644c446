-- The results database, schema 1: one file per study. Applied as migration 1 (migrate.h).
--
-- Tables are singular and normalised: an instance and a method are stored once, a run has a narrow
-- integer key for its many improvements and its 128-bit identity as text. Views are plural, wide
-- and sorted by what a run is, never by when it ended: they are what `export` prints and what a
-- person reads with the sqlite3 program. Texts in CHECK lists are stored values and never change.
-- Times: picoseconds (INTEGER, exact) for the simulated, seconds (REAL) for the spent, ISO 8601 UTC
-- (TEXT) for the clock.

CREATE TABLE study (
  id INTEGER PRIMARY KEY CHECK (id = 1),  -- one row
  name TEXT NOT NULL,
  experiment TEXT NOT NULL,               -- the experiment file's text, as read
  created_at TEXT NOT NULL,
  version TEXT NOT NULL                   -- of the program
) STRICT;

CREATE TABLE instance (
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  cluster TEXT NOT NULL,
  devices INTEGER NOT NULL CHECK (devices > 0),
  batch INTEGER NOT NULL CHECK (batch > 0),  -- samples per iteration, all devices together
  network TEXT NOT NULL,                     -- the network fidelity's name
  costs TEXT NOT NULL,                       -- fingerprint of all else that the simulator reads
  UNIQUE (model, cluster, devices, batch, network, costs)
) STRICT;

CREATE TABLE method (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  settings TEXT NOT NULL,  -- canonical JSON: sorted keys, no spaces
  UNIQUE (name, settings)
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  identity TEXT NOT NULL UNIQUE CHECK (length(identity) = 32),
  instance INTEGER NOT NULL REFERENCES instance,
  method INTEGER NOT NULL REFERENCES method,
  seed INTEGER NOT NULL,
  budget INTEGER NOT NULL,
  code TEXT NOT NULL,  -- fingerprint of the program
  status TEXT NOT NULL CHECK (status IN ('ok', 'infeasible', 'interrupted', 'failed')),
  iteration_time_ps INTEGER CHECK (iteration_time_ps > 0),
  samples_per_s REAL,
  communication_bytes INTEGER,
  trace_hash TEXT CHECK (length(trace_hash) = 16),
  evaluations INTEGER NOT NULL,
  best_at INTEGER NOT NULL,  -- the evaluation that found the plan; 0: none
  cpu_s REAL NOT NULL,
  wall_s REAL NOT NULL,
  started_at TEXT NOT NULL,
  command TEXT NOT NULL,
  version TEXT NOT NULL,
  host TEXT NOT NULL,
  provenance TEXT NOT NULL,  -- where the costs come from
  note TEXT NOT NULL,        -- why it stopped, what does not fit, what failed
  UNIQUE (instance, method, seed, budget, code),
  -- The figures of the best plan are all there or all absent, and always there when status is ok.
  CHECK ((iteration_time_ps IS NULL) = (samples_per_s IS NULL)),
  CHECK ((iteration_time_ps IS NULL) = (communication_bytes IS NULL)),
  CHECK ((iteration_time_ps IS NULL) = (trace_hash IS NULL)),
  CHECK (status <> 'ok' OR iteration_time_ps IS NOT NULL)
) STRICT;

CREATE TABLE improvement (  -- the best-so-far curve: a row only where it falls
  run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  evaluation INTEGER NOT NULL CHECK (evaluation > 0),
  iteration_time_ps INTEGER NOT NULL,
  cpu_s REAL NOT NULL,
  PRIMARY KEY (run, evaluation)
) STRICT, WITHOUT ROWID;

CREATE TABLE plan (
  run INTEGER PRIMARY KEY REFERENCES run ON DELETE CASCADE,
  json TEXT NOT NULL
) STRICT;

CREATE TABLE reference (  -- published figures that the study is compared with
  figure TEXT NOT NULL,
  model TEXT NOT NULL,
  cluster TEXT NOT NULL,
  strategy TEXT NOT NULL,
  devices INTEGER NOT NULL,
  metric TEXT NOT NULL,  -- with its unit, e.g. samples_per_s_per_device
  value REAL NOT NULL,
  grade TEXT NOT NULL,   -- P: printed in the source, D: digitised from a drawing
  PRIMARY KEY (figure, model, cluster, strategy, devices, metric)
) STRICT, WITHOUT ROWID;

CREATE VIEW runs AS
SELECT run.identity, model, cluster, devices, batch, network, costs,
       method.name AS method, settings, seed, budget, code, status, iteration_time_ps,
       samples_per_s, samples_per_s / devices AS samples_per_s_per_device,
       communication_bytes, trace_hash,
       evaluations, best_at, cpu_s, wall_s, started_at, command, version, host, provenance, note
FROM run JOIN instance ON instance.id = run.instance JOIN method ON method.id = run.method
ORDER BY model, cluster, devices, batch, network, costs, method.name, settings, budget, seed, code;

CREATE VIEW improvements AS
SELECT run.identity, model, cluster, devices, method.name AS method, seed, evaluation,
       improvement.iteration_time_ps, improvement.cpu_s
FROM improvement JOIN run ON run.id = improvement.run
     JOIN instance ON instance.id = run.instance JOIN method ON method.id = run.method
ORDER BY model, cluster, devices, batch, network, costs, method.name, settings, budget, seed, code,
         evaluation;

CREATE VIEW plans AS
SELECT run.identity, model, cluster, devices, method.name AS method, seed, json AS plan
FROM plan JOIN run ON run.id = plan.run
     JOIN instance ON instance.id = run.instance JOIN method ON method.id = run.method
ORDER BY model, cluster, devices, batch, network, costs, method.name, settings, budget, seed, code;

CREATE VIEW "references" AS
SELECT figure, model, cluster, strategy, devices, metric, value, grade FROM reference
ORDER BY figure, model, cluster, strategy, devices, metric;
