"""Tables and indices of the database of a study. Rows are never deleted.

Nothing in them says who a rater is: no name, no address, and not which invitation was used, as an
invitation may have been sent to one person. Tokens of invitations and sessions are kept as SHA-256
only, so a copy of the file lets nobody in.
"""

APPLICATION_ID = 0x526F5661
"""Marks a database as a study's: bytes 68 to 71 of the file, "RoVa"."""

VERSION = 1
"""Version of the tables: SQLite's `user_version`."""

TABLES = (
    "CREATE TABLE study (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE invitation (
        token_sha256 BLOB PRIMARY KEY CHECK (length(token_sha256) = 32),
        places INTEGER NOT NULL CHECK (places >= 0),
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE rater (
        id TEXT PRIMARY KEY,
        session_sha256 BLOB NOT NULL UNIQUE CHECK (length(session_sha256) = 32),
        consent_sha256 TEXT NOT NULL,
        joined_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE ask (
        id TEXT PRIMARY KEY,
        rater TEXT NOT NULL REFERENCES rater (id),
        question TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('training', 'question', 'gold', 'repeat')),
        first TEXT NOT NULL CHECK (first IN ('a', 'b')),
        number INTEGER NOT NULL CHECK (number >= 0),
        crop_x INTEGER,
        crop_y INTEGER,
        crop_width INTEGER,
        crop_height INTEGER,
        asked_at INTEGER NOT NULL,
        is_open INTEGER NOT NULL DEFAULT 1 CHECK (is_open IN (0, 1)),
        UNIQUE (rater, number)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE vote (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        ask TEXT NOT NULL UNIQUE REFERENCES ask (id),
        choice TEXT NOT NULL CHECK (choice IN ('1', '2', 'none')),
        flips INTEGER NOT NULL CHECK (flips >= 0),
        milliseconds INTEGER NOT NULL CHECK (milliseconds >= 0),
        screen_width INTEGER NOT NULL,
        screen_height INTEGER NOT NULL,
        pixel_ratio REAL NOT NULL,
        browser TEXT NOT NULL,
        answered_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX pending ON ask (asked_at, question) WHERE is_open AND kind = 'question'",
)
"""`study` has one row: a random id, which marks the files of the study as well. `is_open` of an ask
says that it has no vote: the transaction that stores the vote clears it, so that pending questions
are found among open asks alone, however many have been answered. `number` of a vote grows in the
order in which votes are committed, because one transaction writes at a time. Times are whole
seconds since 1970."""
