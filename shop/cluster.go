package shop

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// archiveCommand is the same for every shop: the server stands in its data
// directory. A segment appears in the archive whole or not at all, and never
// over another one.
const archiveCommand = "test ! -f ../copies/nearby/wal/%f && cp %p ../outbox/%f && mv ../outbox/%f ../copies/nearby/wal/%f"

// settings are those of a small production server, but for the time after
// which a segment is archived that nobody has filled.
func (l Layout) settings() [][2]string {
	return [][2]string{
		{"listen_addresses", ""},
		{"port", "5432"},
		{"unix_socket_directories", l.Socket()},
		{"unix_socket_permissions", "0700"},
		{"max_connections", "40"},
		{"wal_level", "replica"},
		{"max_wal_senders", "4"},
		{"archive_mode", "on"},
		{"archive_command", archiveCommand},
		{"archive_timeout", "10s"},
		{"track_commit_timestamp", "on"},
		{"log_timezone", "UTC"},
		{"timezone", "UTC"},
		{"cluster_name", "shop"},
	}
}

// initCluster makes the cluster and gives it its configuration.
func (s *Shop) initCluster(ctx context.Context) error {
	args := []string{"--pgdata", s.Cluster(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8",
		"--data-checksums", "--no-sync", "--wal-segsize", strconv.Itoa(s.options.SegmentMB)}
	if err := s.run(ctx, program{path: s.Tools.Program("initdb"), args: args, asOwner: true}); err != nil {
		return fmt.Errorf("make the shop's cluster: %w", err)
	}
	var conf strings.Builder
	conf.WriteString("\n# The shop's own settings.\n")
	settings := s.settings()
	for _, name := range slices.Sorted(maps.Keys(s.options.Settings)) {
		settings = append(settings, [2]string{name, s.options.Settings[name]}) // the last one counts
	}
	for _, kv := range settings {
		fmt.Fprintf(&conf, "%s = '%s'\n", kv[0], strings.ReplaceAll(kv[1], "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(s.Cluster(), "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("configure the shop's cluster: %w", err)
	}
	_, err = f.WriteString(conf.String())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("configure the shop's cluster: %w", err)
	}
	return nil
}
