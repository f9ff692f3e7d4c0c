CREATE TABLE decisions (
  decision_id VARCHAR(200) NOT NULL,
  tenant VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  episode_id VARCHAR(200) NOT NULL,
  ts BIGINT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (decision_id)
);
CREATE INDEX decisions_by_episode ON decisions (episode_id);
CREATE INDEX decisions_by_time ON decisions (tenant, ts);
CREATE TABLE episodes (
  tenant VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  prefix_hash VARCHAR(200) NOT NULL,
  episode_id VARCHAR(200) NOT NULL,
  turn_index INTEGER NOT NULL,
  PRIMARY KEY (tenant, user_id, prefix_hash)
);
CREATE TABLE feedback (
  tenant VARCHAR(200) NOT NULL,
  feedback_id VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  decision_id VARCHAR(200),
  episode_id VARCHAR(200),
  ts BIGINT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (tenant, feedback_id)
);
CREATE INDEX feedback_by_decision ON feedback (decision_id);
CREATE INDEX feedback_by_episode ON feedback (episode_id);
CREATE TABLE keys (
  key_hash VARCHAR(200) NOT NULL,
  tenant VARCHAR(200) NOT NULL,
  label VARCHAR(200) NOT NULL,
  scopes TEXT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT,
  revoked BIGINT,
  PRIMARY KEY (key_hash)
);
CREATE TABLE meta (
  name VARCHAR(200) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE outbox (
  seq BIGSERIAL NOT NULL,
  table_name VARCHAR(200) NOT NULL,
  tenant VARCHAR(200) NOT NULL,
  row_id VARCHAR(200) NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (table_name, tenant, row_id)
);
CREATE INDEX outbox_by_table ON outbox (table_name, seq);
CREATE TABLE relayed (
  table_name VARCHAR(200) NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (table_name)
);
CREATE TABLE switches (
  seq BIGSERIAL NOT NULL,
  kind VARCHAR(200) NOT NULL,
  name VARCHAR(200) NOT NULL,
  "off" BOOLEAN NOT NULL,
  by VARCHAR(200) NOT NULL,
  ts BIGINT NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE turns (
  turn_id VARCHAR(200) NOT NULL,
  tenant VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  conversation_id VARCHAR(200) NOT NULL,
  turn_index INTEGER NOT NULL,
  ts BIGINT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (turn_id)
);
CREATE INDEX turns_by_conversation ON turns (conversation_id, turn_index);
CREATE TABLE unfinished (
  decision_id VARCHAR(200) NOT NULL,
  opened BIGINT NOT NULL,
  PRIMARY KEY (decision_id)
);
CREATE TABLE user_states (
  tenant VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  encoder_id VARCHAR(200) NOT NULL,
  last_event_ts BIGINT NOT NULL,
  vector BYTEA NOT NULL,
  persona_id VARCHAR(200),
  PRIMARY KEY (tenant, user_id, encoder_id)
);
CREATE TABLE users (
  tenant VARCHAR(200) NOT NULL,
  user_id VARCHAR(200) NOT NULL,
  ts BIGINT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (tenant, user_id)
);
