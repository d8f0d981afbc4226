-- Messages on their way to a receiver, in the order in which they were sent.
CREATE TABLE delivery (
    id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: it is the order
    target   TEXT    NOT NULL, -- the receiver
    lane     TEXT    NOT NULL, -- those of a lane go one after the other; '': whenever they can
    dead     INTEGER NOT NULL, -- 1: given up
    attempts INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    error    TEXT    NOT NULL, -- of the last attempt
    body     BLOB    NOT NULL
) STRICT;
CREATE INDEX delivery_due ON delivery (target, dead, due, id);
CREATE INDEX delivery_lane ON delivery (target, lane, dead, id);
