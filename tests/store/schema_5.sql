-- A store as schema version 5 made it: never changed, it stands for the stores that users have.
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
	changed BIGINT DEFAULT '0' NOT NULL,
	PRIMARY KEY (normalized_name)
)
 WITHOUT ROWID;
CREATE INDEX projects_changed ON projects (changed, normalized_name);
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
CREATE TABLE repositories (
	"key" TEXT NOT NULL,
	state TEXT NOT NULL,
	fetched_at BIGINT NOT NULL,
	contributors_at BIGINT,
	moved_to TEXT,
	etag TEXT,
	node_id TEXT,
	record BLOB,
	contributors BLOB,
	PRIMARY KEY ("key")
);
CREATE TABLE links (
	normalized_name TEXT NOT NULL,
	"key" TEXT,
	proof TEXT,
	problem TEXT,
	checked_at BIGINT NOT NULL,
	publisher TEXT,
	publisher_version TEXT,
	label TEXT,
	url TEXT,
	candidates JSON NOT NULL,
	PRIMARY KEY (normalized_name)
);
CREATE INDEX links_by_key ON links ("key");
CREATE TABLE downloads (
	normalized_name TEXT NOT NULL,
	source TEXT NOT NULL,
	fetched_at BIGINT NOT NULL,
	as_of BIGINT,
	last_day BIGINT,
	last_week BIGINT,
	last_month BIGINT,
	total BIGINT,
	PRIMARY KEY (normalized_name, source)
);
CREATE TABLE notes (
	name TEXT NOT NULL,
	value JSON NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE queue (
	normalized_name TEXT NOT NULL,
	at BIGINT NOT NULL,
	source TEXT NOT NULL,
	PRIMARY KEY (normalized_name)
);
CREATE TABLE scores (
	normalized_name TEXT NOT NULL,
	score INTEGER NOT NULL,
	"at" BIGINT NOT NULL,
	PRIMARY KEY (normalized_name)
);
INSERT INTO meta VALUES ('schema_version', '5'), ('created_at', '1790000000'), ('pypi_url', 'https://pypi.org'), ('store_id', '00112233445566aa'), ('changes', '3');
INSERT INTO classifiers VALUES (1, 'Framework :: Plone');
INSERT INTO projects VALUES ('old-pkg', 'Old.Pkg', 7, 'active', 1790000000, 0, X'01', 3);
INSERT INTO standings VALUES ('old-pkg', 'archived', 'done', '"p"', '"j"', 1790000000, NULL);
INSERT INTO indexes VALUES (7, 1790000000, 1790000600, 1);
INSERT INTO feeds VALUES ('https://pypi.org/rss/updates.xml', '"f"', 1790000000, 1790000060);
INSERT INTO dedup VALUES ('pyf:dedup:new:old-pkg', 4000000000);
INSERT INTO repositories VALUES ('github.com/old/pkg', 'ok', 1790000000, 1790000060, NULL, '"r"', 'R_1', X'789c558e414e03310c007beb137806ea4b40dc384526364db46962622f7dd076dba5959040e26ef1803ea16f215d7180e3d81e8d2f8b9b432e482ee2f0e05663d966aac35dc25d860d0df7dd7a82ea437c25fc9e300a3c2542db3d97dad99ea152563bfa4aa0840ef4fc186e176fdc4b98d18e3de3efca4651a8b21cafaed8b405f581aad8a9306517457a12fb9c81fb945ca5973651b1438a9eb290edb570f4cd0d65430c6bb21392f81a5963c9f69e5a4ab48989a09d7ffce7eb0f1383ef9a28f6f5a7ea20e3dc14fb01cc047bfa', X'789c9bd8bc34273f3d336f71625ededae4fcbc92a2cca4d292ccfcbc62e655896589258945f1a545393b334a4a0a8aadf4f5532b12730b7252f5f28bd2f513f50af2d20195871aba');
INSERT INTO repositories VALUES ('github.com/older/pkg', 'moved', 1790000000, NULL, 'github.com/old/pkg', NULL, NULL, NULL, NULL);
INSERT INTO links VALUES ('old-pkg', 'github.com/old/pkg', 'named', NULL, 1790000000, 'old/pkg', '1.0', 'Source', 'https://github.com/older/pkg', '["github.com/older/pkg"]');
INSERT INTO downloads VALUES ('old-pkg', 'pypistats', 1790000000, 1789948800, 1, 2, 3, NULL);
INSERT INTO notes VALUES ('github', '{"until": 1790000900}');
INSERT INTO queue VALUES ('old-pkg', 1790000000, 'queue add');
INSERT INTO scores VALUES ('old-pkg', 41, 1790000000);
