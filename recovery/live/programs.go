package live

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// programEnv is the environment of PostgreSQL's programs, but for the password.
var programEnv = postgres.ProgramEnv()

// program is how one of PostgreSQL's programs reaches a database of the live
// server, of a major, and may write to it for as long as it takes.
func program(address string, config *pgx.ConnConfig, database string, major int) (conninfo string, env []string, err error) {
	options := append(unhurried(postgres.Tools{Major: major}), "-c default_transaction_read_only=off", "-c synchronous_commit=local")
	return postgres.ProgramAddress(address, config, database, options...)
}

// unhurried are the options of a program whose sessions take as long as it takes, from their
// first statement on: it lifts not all limits by itself, and none before it has asked something.
func unhurried(t postgres.Tools) (options []string) {
	all := t.Unhurried()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		options = append(options, "-c "+name+"="+all[name])
	}
	return options
}
