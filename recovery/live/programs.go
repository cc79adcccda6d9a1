package live

import (
	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// programEnv is the environment of PostgreSQL's programs, but for the password.
var programEnv = postgres.ProgramEnv()

// program is how one of PostgreSQL's programs reaches a database of the live
// server and may write to it.
func program(address string, config *pgx.ConnConfig, database string) (conninfo string, env []string, err error) {
	return postgres.ProgramAddress(address, config, database, "-c default_transaction_read_only=off", "-c synchronous_commit=local")
}
