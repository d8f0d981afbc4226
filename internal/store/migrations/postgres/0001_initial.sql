-- Texts are compared byte by byte, whatever language the database was made for.

-- Resources of the API. Unversioned kinds have version 0.0.0/0, recipes build 0.
CREATE TABLE resource (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL, -- normalised
    major   BIGINT NOT NULL,
    minor   BIGINT NOT NULL,
    patch   BIGINT NOT NULL,
    build   BIGINT NOT NULL,
    latest  BIGINT NOT NULL, -- 1: the highest build of its version
    newest  BIGINT NOT NULL, -- 1: the highest build of the highest version of its name
    arn     TEXT COLLATE "C" NOT NULL UNIQUE,
    status  TEXT COLLATE "C" NOT NULL,
    parent  TEXT COLLATE "C" NOT NULL, -- ARN, such as an image's pipeline
    digest  TEXT COLLATE "C" NOT NULL, -- of the content, where contents are compared
    created BIGINT NOT NULL, -- milliseconds since 1970
    updated BIGINT NOT NULL, -- 0: never
    due     BIGINT NOT NULL, -- when a schedule wants it next, 0: never
    doc     BYTEA NOT NULL,
    content BYTEA              -- the large part that lists leave out; last, so that they need not read past it
);
-- Each list of the API is a range of one of these, whatever the number of rows.
CREATE UNIQUE INDEX resource_version ON resource (kind, account, region, name, major, minor, patch, build);
CREATE INDEX resource_latest ON resource (kind, account, region, name, major, minor, patch) WHERE latest = 1;
CREATE INDEX resource_newest ON resource (kind, account, region, name) WHERE newest = 1;
CREATE INDEX resource_parent ON resource (parent, id) WHERE parent <> '';
CREATE INDEX resource_due ON resource (kind, due) WHERE due > 0;
CREATE INDEX resource_status ON resource (kind, account, region, status) WHERE status <> '';

-- How many versions an account has of a kind in a region, for the quotas.
CREATE TABLE resource_count (
    kind    TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region  TEXT COLLATE "C" NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (kind, account, region)
);

-- The highest build number ever given to a version: a number is not used again
-- after its build was deleted.
CREATE TABLE build_number (
    kind    TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    major   BIGINT NOT NULL,
    minor   BIGINT NOT NULL,
    patch   BIGINT NOT NULL,
    n       BIGINT NOT NULL,
    PRIMARY KEY (kind, account, region, name, major, minor, patch)
);

-- source uses whatever matches the target: -1 is a wildcard, or no build node.
CREATE TABLE reference (
    source  TEXT COLLATE "C" NOT NULL REFERENCES resource (arn) ON DELETE CASCADE,
    kind    TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    region  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    major   BIGINT NOT NULL,
    minor   BIGINT NOT NULL,
    patch   BIGINT NOT NULL,
    build   BIGINT NOT NULL,
    PRIMARY KEY (kind, account, region, name, source, major, minor, patch, build)
);
CREATE INDEX reference_source ON reference (source);

CREATE TABLE client_token (
    account   TEXT COLLATE "C" NOT NULL,
    region    TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    token     TEXT COLLATE "C" NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL, -- of the request
    response  BYTEA NOT NULL,
    created   BIGINT NOT NULL,
    PRIMARY KEY (account, region, operation, token)
);
CREATE INDEX client_token_created ON client_token (created);

CREATE TABLE image_plan (
    image_arn TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    plan      BYTEA NOT NULL
);

CREATE TABLE image_cancel (
    image_arn TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created   BIGINT NOT NULL
);

CREATE TABLE image_package (
    image_arn TEXT COLLATE "C" NOT NULL,
    ordinal   BIGINT NOT NULL,
    name      TEXT COLLATE "C" NOT NULL,
    version   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (image_arn, ordinal)
);

CREATE TABLE workflow_execution (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    image_arn      TEXT COLLATE "C" NOT NULL,
    workflow_arn   TEXT COLLATE "C" NOT NULL,
    type           TEXT COLLATE "C" NOT NULL,
    status         TEXT COLLATE "C" NOT NULL,
    message        TEXT COLLATE "C" NOT NULL,
    parallel_group TEXT COLLATE "C" NOT NULL,
    total          BIGINT NOT NULL,
    succeeded      BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    skipped        BIGINT NOT NULL,
    started        BIGINT NOT NULL,
    ended          BIGINT NOT NULL,
    ordinal        BIGINT NOT NULL
);
CREATE INDEX workflow_execution_image ON workflow_execution (image_arn, ordinal, started, id);

CREATE TABLE step_execution (
    id                 TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    workflow_execution TEXT COLLATE "C" NOT NULL,
    image_arn          TEXT COLLATE "C" NOT NULL,
    workflow_arn       TEXT COLLATE "C" NOT NULL,
    name               TEXT COLLATE "C" NOT NULL,
    description        TEXT COLLATE "C" NOT NULL,
    action             TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C" NOT NULL,
    rollback_status    TEXT COLLATE "C" NOT NULL,
    message            TEXT COLLATE "C" NOT NULL,
    inputs             TEXT COLLATE "C" NOT NULL,
    outputs            TEXT COLLATE "C" NOT NULL,
    on_failure         TEXT COLLATE "C" NOT NULL,
    timeout_seconds    BIGINT NOT NULL,
    attempt            BIGINT NOT NULL,
    max_attempts       BIGINT NOT NULL,
    started            BIGINT NOT NULL,
    ended              BIGINT NOT NULL,
    ordinal            BIGINT NOT NULL
);
CREATE INDEX step_execution_workflow ON step_execution (workflow_execution, ordinal, started, id);
CREATE INDEX step_execution_image ON step_execution (image_arn);

-- What runs or is kept on this machine, so that a crash leaves nothing behind.
CREATE TABLE instance (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind      TEXT COLLATE "C" NOT NULL,
    dir       TEXT COLLATE "C" NOT NULL,
    volume    TEXT COLLATE "C" NOT NULL,
    image_arn TEXT COLLATE "C" NOT NULL,
    state     TEXT COLLATE "C" NOT NULL,
    created   BIGINT NOT NULL
);

CREATE TABLE snapshot (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account  TEXT COLLATE "C" NOT NULL,
    region   TEXT COLLATE "C" NOT NULL,
    manifest TEXT COLLATE "C" NOT NULL, -- of the disk's blocks
    created  BIGINT NOT NULL,
    doc      BYTEA NOT NULL
);
CREATE INDEX snapshot_owner ON snapshot (account, region, id);
CREATE INDEX snapshot_manifest ON snapshot (manifest);

CREATE TABLE ami (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account TEXT COLLATE "C" NOT NULL,
    region  TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    doc     BYTEA NOT NULL
);
CREATE UNIQUE INDEX ami_name ON ami (account, region, name);
CREATE INDEX ami_region ON ami (region, id);

-- Who may launch an AMI besides its owner: an account, or "all".
CREATE TABLE ami_grant (
    ami     TEXT COLLATE "C" NOT NULL REFERENCES ami (id) ON DELETE CASCADE,
    grantee TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ami, grantee)
);
