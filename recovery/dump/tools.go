package dump

import (
	"fmt"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// choose finds the major to restore a dump with: that of the dumped server,
// else the next newer one, else the newest there is. What is not the dumped
// server's major is said in note; older reports that it is older, which
// PostgreSQL does not promise to work.
func choose(installed []postgres.Tools, h head) (tools postgres.Tools, note string, older bool, err error) {
	wanted := h.serverMajor()
	if len(installed) == 0 {
		return tools, "", false, recovery.Errorf(postgres.Install(wanted),
			"no PostgreSQL server is installed here").WithExit(recovery.Usage)
	}
	readable := 0
	if h.Archive > 0 {
		readable = postgres.MajorForArchive(h.Archive)
	}
	for _, t := range installed { // the newest first: the last that fits is the nearest
		if t.Major >= wanted && t.Major >= readable {
			tools = t
		}
	}
	switch {
	case tools.Major > 0 && (tools.Major == wanted || wanted == 0):
	case tools.Major > 0:
		note = fmt.Sprintf("restored with PostgreSQL %d, the dumped server was %d", tools.Major, wanted)
	case installed[0].Major >= readable:
		tools, older = installed[0], true
		note = fmt.Sprintf("restored with PostgreSQL %d, which is older than the dumped server, %d", tools.Major, wanted)
	default:
		return tools, "", false, recovery.Errorf(postgres.Install(max(wanted, readable)),
			"the archive was made by pg_dump %s in the format %s, which pg_restore %d, the newest here, does not read",
			orUnknown(h.Dumper), archiveVersion(h.Archive), installed[0].Major).WithExit(recovery.Usage)
	}
	if h.Form.script() {
		return tools, note, older, nil
	}
	return tools, note, older, tools.Need("pg_restore")
}

func orUnknown(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return version
}
