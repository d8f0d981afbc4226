-- Resources of the API. Unversioned kinds have version 0.0.0/0, recipes build 0.
CREATE TABLE resource (
    id      INTEGER PRIMARY KEY,
    kind    TEXT    NOT NULL,
    account TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    name    TEXT    NOT NULL, -- normalised
    major   INTEGER NOT NULL,
    minor   INTEGER NOT NULL,
    patch   INTEGER NOT NULL,
    build   INTEGER NOT NULL,
    latest  INTEGER NOT NULL, -- 1: the highest build of its version
    newest  INTEGER NOT NULL, -- 1: the highest build of the highest version of its name
    arn     TEXT    NOT NULL UNIQUE,
    status  TEXT    NOT NULL,
    parent  TEXT    NOT NULL, -- ARN, such as an image's pipeline
    digest  TEXT    NOT NULL, -- of the content, where contents are compared
    created INTEGER NOT NULL, -- milliseconds since 1970
    updated INTEGER NOT NULL, -- 0: never
    due     INTEGER NOT NULL, -- when a schedule wants it next, 0: never
    doc     BLOB    NOT NULL,
    content BLOB              -- the large part that lists leave out; last, so that they need not read past it
) STRICT;
-- Each list of the API is a range of one of these, whatever the number of rows.
-- The condition of a partial index must not compare a column with "=" that
-- queries compare with a parameter: SQLite would then prepare these queries
-- anew for every execution, to see whether the parameter implies the condition.
CREATE UNIQUE INDEX resource_version ON resource (kind, account, region, name, major, minor, patch, build);
CREATE INDEX resource_latest ON resource (kind, account, region, name, major, minor, patch) WHERE latest = 1;
CREATE INDEX resource_newest ON resource (kind, account, region, name) WHERE newest = 1;
CREATE INDEX resource_parent ON resource (parent, id) WHERE parent <> '';
CREATE INDEX resource_due ON resource (kind, due) WHERE due > 0;
CREATE INDEX resource_status ON resource (kind, account, region, status) WHERE status <> '';

-- How many versions an account has of a kind in a region, for the quotas.
CREATE TABLE resource_count (
    kind    TEXT    NOT NULL,
    account TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (kind, account, region)
) STRICT, WITHOUT ROWID;

-- The highest build number ever given to a version: a number is not used again
-- after its build was deleted.
CREATE TABLE build_number (
    kind    TEXT    NOT NULL,
    account TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    major   INTEGER NOT NULL,
    minor   INTEGER NOT NULL,
    patch   INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (kind, account, region, name, major, minor, patch)
) STRICT, WITHOUT ROWID;

-- source uses whatever matches the target: -1 is a wildcard, or no build node.
CREATE TABLE reference (
    source  TEXT    NOT NULL REFERENCES resource (arn) ON DELETE CASCADE,
    kind    TEXT    NOT NULL,
    account TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    major   INTEGER NOT NULL,
    minor   INTEGER NOT NULL,
    patch   INTEGER NOT NULL,
    build   INTEGER NOT NULL,
    PRIMARY KEY (kind, account, region, name, source, major, minor, patch, build)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_source ON reference (source);

CREATE TABLE client_token (
    account   TEXT    NOT NULL,
    region    TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    token     TEXT    NOT NULL,
    digest    TEXT    NOT NULL, -- of the request
    response  BLOB    NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (account, region, operation, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_token_created ON client_token (created);

CREATE TABLE image_plan (
    image_arn TEXT NOT NULL PRIMARY KEY,
    plan      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE image_cancel (
    image_arn TEXT    NOT NULL PRIMARY KEY,
    created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE image_package (
    image_arn TEXT    NOT NULL,
    ordinal   INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    version   TEXT    NOT NULL,
    PRIMARY KEY (image_arn, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflow_execution (
    id             TEXT    NOT NULL PRIMARY KEY,
    image_arn      TEXT    NOT NULL,
    workflow_arn   TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    message        TEXT    NOT NULL,
    parallel_group TEXT    NOT NULL,
    total          INTEGER NOT NULL,
    succeeded      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    skipped        INTEGER NOT NULL,
    started        INTEGER NOT NULL,
    ended          INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX workflow_execution_image ON workflow_execution (image_arn, ordinal, started, id);

CREATE TABLE step_execution (
    id                 TEXT    NOT NULL PRIMARY KEY,
    workflow_execution TEXT    NOT NULL,
    image_arn          TEXT    NOT NULL,
    workflow_arn       TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    description        TEXT    NOT NULL,
    action             TEXT    NOT NULL,
    status             TEXT    NOT NULL,
    rollback_status    TEXT    NOT NULL,
    message            TEXT    NOT NULL,
    inputs             TEXT    NOT NULL,
    outputs            TEXT    NOT NULL,
    on_failure         TEXT    NOT NULL,
    timeout_seconds    INTEGER NOT NULL,
    attempt            INTEGER NOT NULL,
    max_attempts       INTEGER NOT NULL,
    started            INTEGER NOT NULL,
    ended              INTEGER NOT NULL,
    ordinal            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX step_execution_workflow ON step_execution (workflow_execution, ordinal, started, id);
CREATE INDEX step_execution_image ON step_execution (image_arn);

-- What runs or is kept on this machine, so that a crash leaves nothing behind.
CREATE TABLE instance (
    id        TEXT    NOT NULL PRIMARY KEY,
    kind      TEXT    NOT NULL,
    dir       TEXT    NOT NULL,
    volume    TEXT    NOT NULL,
    image_arn TEXT    NOT NULL,
    state     TEXT    NOT NULL,
    created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    id       TEXT    NOT NULL PRIMARY KEY,
    account  TEXT    NOT NULL,
    region   TEXT    NOT NULL,
    manifest TEXT    NOT NULL, -- of the disk's blocks
    created  INTEGER NOT NULL,
    doc      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_owner ON snapshot (account, region, id);
CREATE INDEX snapshot_manifest ON snapshot (manifest);

CREATE TABLE ami (
    id      TEXT    NOT NULL PRIMARY KEY,
    account TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    created INTEGER NOT NULL,
    doc     BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ami_name ON ami (account, region, name);
CREATE INDEX ami_region ON ami (region, id);

-- Who may launch an AMI besides its owner: an account, or "all".
CREATE TABLE ami_grant (
    ami     TEXT NOT NULL REFERENCES ami (id) ON DELETE CASCADE,
    grantee TEXT NOT NULL,
    PRIMARY KEY (ami, grantee)
) STRICT, WITHOUT ROWID;
