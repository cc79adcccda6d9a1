package switchover

import (
	"context"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// besideConn opens a session with the server of an address, in its database
// postgres: the one that the address names may let nobody in.
func besideConn(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := postgres.LiveConfig(address)
	if err != nil {
		return nil, err
	}
	config.Database = "postgres"
	return postgres.DialLive(ctx, config)
}
