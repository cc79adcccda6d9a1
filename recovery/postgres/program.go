package postgres

import (
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/pattern"
)

// ProgramEnv is the environment of PostgreSQL's own programs, but for the
// password.
func ProgramEnv() []string { return slices.Clone(programEnv) }

var programEnv = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "PGCONNECT_TIMEOUT=60", "PGAPPNAME=comeback"}

// passed are the settings of an address that PostgreSQL's programs are handed as
// they are; the host, the port, the user and the password are taken from what was
// made of the address, and nothing else counts.
var passed = []string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslsni", "ssl_min_protocol_version", "gssencmode", "channel_binding", "options"}

// ProgramAddress is how one of PostgreSQL's programs reaches a database of a
// running server that is not ours: a connection string without a password, which
// may stand among its arguments, and an environment with it. The options are
// settings of its sessions, "-c name=value".
func ProgramAddress(address string, config *pgx.ConnConfig, database string, options ...string) (conninfo string, env []string, err error) {
	given, err := AddressSettings(address)
	if err != nil {
		return "", nil, err
	}
	all := [][2]string{{"host", config.Host}, {"port", strconv.Itoa(int(config.Port))}, {"user", config.User}, {"dbname", database}}
	for _, name := range passed {
		value, ok := given[name]
		if !ok && name != "options" {
			value = os.Getenv("PG" + strings.ToUpper(strings.ReplaceAll(name, "_", "")))
		}
		if name == "options" {
			value = strings.TrimSpace(value + " " + strings.Join(options, " "))
		}
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	var parts []string
	for _, s := range all {
		parts = append(parts, s[0]+"="+QuoteConninfo(s[1]))
	}
	env = ProgramEnv()
	if config.Password != "" {
		env = append(env, "PGPASSWORD="+config.Password)
	}
	return strings.Join(parts, " "), env, nil
}

// QuoteConninfo writes a value of a connection string.
func QuoteConninfo(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

var (
	pair    = pattern.New(`^\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)\s*`)
	escaped = pattern.New(`\\(.)`)
)

// AddressSettings reads the settings of an address: those after the question mark
// of a URL, or the pairs of a connection string.
func AddressSettings(address string) (map[string]string, error) {
	all := map[string]string{}
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		u, err := url.Parse(address)
		if err != nil {
			return nil, errors.New("read the address of the live server: it is not a URL")
		}
		for name, values := range u.Query() {
			all[name] = values[0]
		}
		return all, nil
	}
	for rest := address; strings.TrimSpace(rest) != ""; {
		m := pair.FindStringSubmatch(rest)
		if m == nil {
			return nil, errors.New("read the address of the live server: it is neither a URL nor a list of key=value")
		}
		value := m[2]
		if strings.HasPrefix(value, "'") {
			value = value[1 : len(value)-1]
		}
		all[m[1]] = escaped.ReplaceAllString(value, "$1")
		rest = rest[len(m[0]):]
	}
	return all, nil
}
