-- The steps that wait for an answer are few among very many.
CREATE INDEX step_execution_waiting ON step_execution (started, id) WHERE action = 'WaitForAction' AND status = 'RUNNING';
