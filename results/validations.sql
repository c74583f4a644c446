-- Migration 3: published training runs beside what is predicted of them.
--
-- A prediction is a function of the table's row and of the program with its data, so storing it
-- again changes nothing. Peak memories are bytes of one device.

CREATE TABLE validation (
  dataset TEXT NOT NULL,            -- hash of the table of runs, as read
  line INTEGER NOT NULL CHECK (line > 0),  -- of the run in it: 1 is the first run
  code TEXT NOT NULL,               -- fingerprint of the program and of its data
  run TEXT NOT NULL,                -- the id in the table
  run_group TEXT NOT NULL,
  split TEXT NOT NULL CHECK (split IN ('calibrate', 'test')),
  trust TEXT NOT NULL,
  measured_step_time_s REAL CHECK (measured_step_time_s > 0),
  measured_peak_memory_bytes INTEGER CHECK (measured_peak_memory_bytes > 0),
  ran_out_of_memory INTEGER NOT NULL CHECK (ran_out_of_memory IN (0, 1)),
  predicted_step_time_s REAL CHECK (predicted_step_time_s > 0),
  low_s REAL,
  high_s REAL,
  predicted_peak_memory_bytes INTEGER,
  feasible INTEGER CHECK (feasible IN (0, 1)),  -- absent: not predicted
  assumptions TEXT NOT NULL,        -- a JSON array of texts
  reason TEXT NOT NULL,             -- why there is no prediction, or what does not fit
  PRIMARY KEY (dataset, line, code),
  CHECK ((predicted_step_time_s IS NULL) = (feasible IS NULL)),
  CHECK (feasible IS NOT NULL OR reason <> '')
) STRICT, WITHOUT ROWID;

CREATE VIEW validations AS
SELECT dataset, line, code, run, run_group, split, trust, measured_step_time_s,
       predicted_step_time_s, predicted_step_time_s / measured_step_time_s - 1 AS step_time_error,
       low_s, high_s, measured_peak_memory_bytes, predicted_peak_memory_bytes,
       CAST(predicted_peak_memory_bytes AS REAL) / measured_peak_memory_bytes - 1 AS memory_error,
       ran_out_of_memory, feasible, assumptions, reason
FROM validation ORDER BY dataset, code, line;
