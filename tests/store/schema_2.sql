-- A store as schema version 2 made it: never changed, it stands for the stores that users have.
CREATE TABLE meta (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY ("key")
);
CREATE TABLE classifiers (
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (name)
);
CREATE TABLE projects (
	normalized_name TEXT NOT NULL,
	name TEXT NOT NULL,
	serial BIGINT NOT NULL,
	status TEXT NOT NULL,
	checked_at BIGINT NOT NULL,
	revision INTEGER NOT NULL,
	classifiers BLOB NOT NULL,
	PRIMARY KEY (normalized_name)
)
 WITHOUT ROWID;
CREATE TABLE packages (
	normalized_name TEXT NOT NULL,
	serial BIGINT NOT NULL,
	depth INTEGER NOT NULL,
	listed JSON NOT NULL,
	project BLOB NOT NULL,
	PRIMARY KEY (normalized_name)
);
CREATE TABLE releases (
	normalized_name TEXT NOT NULL,
	version TEXT NOT NULL,
	serial BIGINT NOT NULL,
	fetched_at BIGINT NOT NULL,
	metadata BLOB,
	PRIMARY KEY (normalized_name, version)
);
CREATE INDEX releases_partial ON releases (normalized_name) WHERE metadata IS NULL;
CREATE TABLE collections (
	collection TEXT NOT NULL,
	definition JSON NOT NULL,
	releases INTEGER,
	physical TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	server TEXT NOT NULL,
	PRIMARY KEY (collection)
);
CREATE TABLE "indexed" (
	collection TEXT NOT NULL,
	normalized_name TEXT NOT NULL,
	indexed_revision INTEGER,
	hashes BLOB NOT NULL,
	PRIMARY KEY (collection, normalized_name)
);
CREATE TABLE failures (
	normalized_name TEXT NOT NULL,
	stage TEXT NOT NULL,
	reason TEXT NOT NULL,
	count INTEGER NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	next_try BIGINT NOT NULL,
	PRIMARY KEY (normalized_name, stage)
);
CREATE TABLE runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	spider TEXT NOT NULL,
	arguments JSON NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT,
	reason TEXT,
	exit_code INTEGER,
	stats JSON
);
CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	at BIGINT NOT NULL,
	normalized_name TEXT NOT NULL,
	kind TEXT NOT NULL,
	version TEXT,
	detail JSON
);
CREATE TABLE standings (
	normalized_name TEXT NOT NULL,
	status TEXT,
	reason TEXT,
	page_etag TEXT,
	project_etag TEXT,
	verified_at BIGINT,
	recreated_at BIGINT,
	PRIMARY KEY (normalized_name)
);
CREATE TABLE indexes (
	serial BIGINT NOT NULL,
	first_read_at BIGINT NOT NULL,
	last_read_at BIGINT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (serial)
);
CREATE TABLE feeds (
	url TEXT NOT NULL,
	etag TEXT,
	newest BIGINT,
	polled_at BIGINT NOT NULL,
	PRIMARY KEY (url)
);
CREATE TABLE dedup (
	"key" TEXT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY ("key")
);
INSERT INTO meta VALUES ('schema_version', '2'), ('created_at', '1790000000'), ('pypi_url', 'https://pypi.org');
INSERT INTO classifiers VALUES (1, 'Framework :: Plone');
INSERT INTO projects VALUES ('old-pkg', 'Old.Pkg', 7, 'active', 1790000000, 0, X'01');
INSERT INTO standings VALUES ('old-pkg', 'archived', 'done', '"p"', '"j"', 1790000000, NULL);
INSERT INTO indexes VALUES (7, 1790000000, 1790000600, 1);
INSERT INTO feeds VALUES ('https://pypi.org/rss/updates.xml', '"f"', 1790000000, 1790000060);
INSERT INTO dedup VALUES ('pyf:dedup:new:old-pkg', 4000000000);
