package recovery

// What several packages say and read under one name, in the details of backups, the facts of
// steps and the identities of targets. Journals and manifests hold these names for as long as
// they are kept.
const (
	// SystemIdentifier says of which cluster something is. A server that is built anew, or
	// upgraded by pg_upgrade, is another cluster.
	SystemIdentifier = "system identifier"
	// ServerVersion is the version of a server in full, "15.14", as it says itself.
	ServerVersion = "server version"
	// ServerMajor is its major alone, where nothing says more. Steps of older versions have
	// said it as ServerVersion.
	ServerMajor = "server major"

	// FactNetwork says what network the server or the program of a step has; NoNetwork is its
	// value where that is none, so that live is out of its reach.
	FactNetwork = "network"
	NoNetwork   = "none but loopback"
	// FactIsolation says how a step was kept from production, FactStandIn what it was done on in
	// place of the real thing: "scratch, in place of /srv/shop". Its stage counts as done on a
	// stand-in then.
	FactIsolation = "isolation"
	FactStandIn   = "stand-in"
)
