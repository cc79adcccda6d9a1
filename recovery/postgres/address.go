package postgres

import (
	"fmt"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// ParseAddress reads the address of a cluster's database, as [Cluster.URL]
// writes it, or of one that was made elsewhere, and nothing else: the passwords,
// options and services of the environment are other servers'.
func ParseAddress(address string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(address)
	if err != nil {
		// What the parser complains of may be a part of the password.
		return nil, recovery.Errorf("write special characters of its password as URLs have them: # as %23, / as %2F, ? as %3F, @ as %40, % as %25",
			"the address of a database is not one that can be read as a URL")
	}
	q := u.Query()
	q.Set("target_session_attrs", "any")
	if os.Getenv("PGSERVICE") != "" {
		// It is read even where the address leaves nothing open, unless the
		// address names a service itself: one that says nothing.
		file, err := emptyService()
		if err != nil {
			return nil, fmt.Errorf("read the address of a database: %w", err)
		}
		defer os.Remove(file)
		q.Set("service", noService)
		q.Set("servicefile", file)
	}
	u.RawQuery = q.Encode()
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("read the address of a database: %w", err) // which pgx names without its passwords
	}
	config.Password, _ = u.User.Password()
	config.RuntimeParams = map[string]string{"application_name": "comeback"}
	return config, nil
}

const noService = "none"

// emptyService writes a service file whose service says nothing.
func emptyService() (string, error) {
	f, err := os.CreateTemp("", "cb-service-")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString("[" + noService + "]\n")
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}
