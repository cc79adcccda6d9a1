package rds

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// What is restored runs like the source, in the same network and with all that it does by
// itself; the service offers no way to restore it without.

// outwards asks the source what it does to others: in a new instance all of that begins anew.
// Where it cannot be asked that is said instead. A component that does not say where it is
// tells nothing.
func (e engine) outwards(ctx context.Context, c recovery.Component) []string {
	reference := c.Settings.Text("url")
	if reference == "" {
		return nil
	}
	address, err := e.Expand(reference)
	var conn *pgx.Conn
	if err == nil {
		conn, err = postgres.ConnectLive(ctx, address)
	}
	if err != nil {
		return []string{notTold(err)}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var all []string
	for _, ask := range []func(context.Context, *pgx.Conn) (string, error){subscribes, schedules} {
		says, err := ask(ctx, conn)
		if err != nil {
			says = notTold(err)
		}
		if says != "" {
			all = append(all, says)
		}
	}
	return all
}

func notTold(err error) string {
	return fmt.Sprintf("whether it has subscriptions or scheduled jobs, which would begin anew in what is restored, could not be asked: %v", err)
}

// subscribes tells of subscriptions.
func subscribes(ctx context.Context, conn *pgx.Conn) (string, error) {
	var names []string
	err := postgres.AskLive(ctx, conn, func(tx pgx.Tx) (err error) {
		names, err = column(ctx, tx, "select subname::text from pg_catalog.pg_subscription where subenabled order by 1")
		return err
	})
	if err != nil || len(names) == 0 {
		return "", err
	}
	return fmt.Sprintf("its subscriptions (%s) are enabled in what is restored, too, and take changes from the publisher that are then missing in what is live: "+
		"name a parameter group with max_logical_replication_workers 0 as `parameter_group:` of the component", strings.Join(names, ", ")), nil
}

// schedules tells of the jobs of pg_cron, in the database in which that keeps them.
func schedules(ctx context.Context, conn *pgx.Conn) (string, error) {
	var there, here string
	err := postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "select coalesce(pg_catalog.current_setting('cron.database_name', true), ''), pg_catalog.current_database()").Scan(&there, &here)
	})
	if err != nil {
		return "", err
	}
	if there != "" && there != here {
		config := conn.Config().Copy()
		config.Database = there
		other, err := postgres.DialLive(ctx, config)
		if err != nil {
			return "", err
		}
		defer other.Close(context.WithoutCancel(ctx)) // it only read
		conn = other
	}
	var jobs int64
	err = postgres.AskLive(ctx, conn, func(tx pgx.Tx) error {
		var has bool
		if err := tx.QueryRow(ctx, "select pg_catalog.to_regclass('cron.job') is not null").Scan(&has); err != nil || !has {
			return err
		}
		// To everybody else each role shows its own jobs; those that a policy hides are an error
		// then, instead of none.
		if _, err := tx.Exec(ctx, "set local row_security = off"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "select count(*) from cron.job where active").Scan(&jobs)
	})
	if err != nil || jobs == 0 {
		return "", err
	}
	return fmt.Sprintf("pg_cron has %d jobs, which are carried out in what is restored, too, and may reach others from there: "+
		"name a parameter group without pg_cron in shared_preload_libraries as `parameter_group:` of the component", jobs), nil
}

func column(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	found, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}
