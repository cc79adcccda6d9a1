package live

import (
	"time"

	"comeback/recovery"
)

// Server is what a live server says of itself and of one of its databases. It is
// JSON; whatever may be larger than 2^53 is a string in it.
type Server struct {
	Identity
	// User is the role that asked.
	User      string    `json:"user"`
	Superuser bool      `json:"superuser,omitempty"`
	At        time.Time `json:"at"`
	Started   time.Time `json:"started,omitzero"`
	// Boot is the boot of the server's machine, where that is this one.
	Boot      string    `json:"boot,omitempty"`
	Archiving Archiving `json:"archiving"`
	// LSN is where the log ends; LastCommit is known where the server keeps the
	// times of commits.
	LSN        recovery.LSN `json:"lsn,omitempty"`
	LastCommit time.Time    `json:"last_commit,omitzero"`
	Target     Properties   `json:"target"`
	Others     []Neighbour  `json:"others,omitempty"`
	Sessions   []Sessions   `json:"sessions,omitempty"`
	Prepared   []Prepared   `json:"prepared,omitempty"`
	Standbys   []Standby    `json:"standbys,omitempty"`
	// Synchronous is synchronous_standby_names: commits wait for them.
	Synchronous   string         `json:"synchronous,omitempty"`
	Slots         []Slot         `json:"slots,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Tablespaces   []Tablespace   `json:"tablespaces,omitempty"`
	// Empty says that there is no relation in the database but those of extensions.
	Empty bool `json:"empty,omitempty"`
	// Extensions and Publications are those of the database.
	Extensions   []Extension `json:"extensions,omitempty"`
	Publications []string    `json:"publications,omitempty"`
	// Unknown is what could not be read, and what would be needed.
	Unknown []Unknown `json:"unknown,omitempty"`
}

// Archiving is how the server's log gets into the copies.
type Archiving struct {
	Mode string `json:"mode"`
	// Command reports whether there is an archive_command or archive_library;
	// its text may hold a secret and is not read.
	Command    bool      `json:"command"`
	Archived   string    `json:"archived,omitempty"`
	ArchivedAt time.Time `json:"archived_at,omitzero"`
	Failed     string    `json:"failed,omitempty"`
	FailedAt   time.Time `json:"failed_at,omitzero"`
	Failures   int64     `json:"failures,string"`
}

// Properties are those of the database that is meant.
type Properties struct {
	Size int64 `json:"size,string"`
	// Open reports whether it lets anybody in (datallowconn).
	Open     bool   `json:"open"`
	Template bool   `json:"template,omitempty"`
	Owner    string `json:"owner"`
	Encoding string `json:"encoding"`
	Collate  string `json:"collate"`
	CType    string `json:"ctype"`
	// Provider is "c" for libc, "i" for ICU, "b" for built in; Locale is that
	// of a provider other than libc.
	Provider string `json:"provider"`
	Locale   string `json:"locale,omitempty"`
	// Limit is the connection limit; -1 is none.
	Limit      int64     `json:"limit"`
	Tablespace string    `json:"tablespace"`
	ACL        []string  `json:"acl,omitempty"`
	Settings   []Setting `json:"settings,omitempty"`
	Comment    string    `json:"comment,omitempty"`
}

// Setting is the name of a setting of the database; its value may be a secret
// and is not read.
type Setting struct {
	// Role is whose setting it is; empty is everybody's.
	Role string `json:"role,omitempty"`
	Name string `json:"name"`
}

// Neighbour is another database of the same cluster, which goes back too when the
// cluster does.
type Neighbour struct {
	Name string `json:"name"`
	OID  uint32 `json:"oid"`
	// Size is -1 where this role may not know it.
	Size int64 `json:"size,string"`
	// Bare says that it is the database postgres, about as small as initdb has made it.
	Bare bool `json:"bare,omitempty"`
}

// Sessions are sessions that look alike, others than ours.
type Sessions struct {
	Database    string `json:"database,omitempty"`
	User        string `json:"user,omitempty"`
	Application string `json:"application,omitempty"`
	Client      string `json:"client,omitempty"`
	// State is PostgreSQL's: "idle in transaction"; Kind its backend_type.
	State string `json:"state,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Count int64  `json:"count"`
	// Oldest is the start of the oldest transaction among them.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Prepared is a transaction that was prepared and neither committed nor rolled
// back.
type Prepared struct {
	GID      string    `json:"gid"`
	Owner    string    `json:"owner"`
	Database string    `json:"database"`
	At       time.Time `json:"at"`
}

// Standby is a server that follows this one's log.
type Standby struct {
	Application string       `json:"application,omitempty"`
	Client      string       `json:"client,omitempty"`
	State       string       `json:"state,omitempty"`
	Sync        string       `json:"sync,omitempty"`
	Replayed    recovery.LSN `json:"replayed,omitempty"`
}

// Slot is a replication slot. A logical one belongs to a database.
type Slot struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Plugin   string       `json:"plugin,omitempty"`
	Database string       `json:"database,omitempty"`
	Active   bool         `json:"active,omitempty"`
	Restart  recovery.LSN `json:"restart,omitempty"`
}

// Subscription is one of a database of the cluster.
type Subscription struct {
	Name     string `json:"name"`
	Database string `json:"database"`
	Enabled  bool   `json:"enabled,omitempty"`
	Slot     string `json:"slot,omitempty"`
}

// Tablespace is one that lies somewhere of its own.
type Tablespace struct {
	Name     string `json:"name"`
	Location string `json:"location"`
}

// Extension is installed in the database.
type Extension struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Unknown is something that could not be read.
type Unknown struct {
	What string `json:"what"`
	// Why are the server's or the system's words; Needs says what would help.
	Why   string `json:"why"`
	Needs string `json:"needs,omitempty"`
}
