package postgres

import (
	"fmt"
	"runtime"
	"strconv"
)

// ScratchSettings are the settings that keep a scratch server to itself.
// Configure puts them under whatever it is given.
func ScratchSettings() map[string]string {
	return map[string]string{
		// No way in but the socket, no way out at all.
		"listen_addresses":                "",
		"port":                            strconv.Itoa(socketPort),
		"unix_socket_permissions":         "0700",
		"ssl":                             "off",
		"bonjour":                         "off",
		"archive_mode":                    "off",
		"max_logical_replication_workers": "0",
		"synchronous_standby_names":       "",
		"primary_conninfo":                "",
		"primary_slot_name":               "",
		// Nothing of the source's that acts by itself.
		"shared_preload_libraries":  "",
		"session_preload_libraries": "",
		"local_preload_libraries":   "",
		// A server that crashes says so once and ends, instead of going on
		// with a database that nobody knows the state of.
		"restart_after_crash": "off",
		// What it shares with parallel workers goes with its directory, also
		// when it is killed.
		"dynamic_shared_memory_type": "mmap",
		// What the log says is read by a program.
		"log_destination":   "stderr",
		"logging_collector": "off",
		"log_line_prefix":   "%m [%p] ",
		"log_timezone":      "UTC",
		"lc_messages":       "C",
		"timezone":          "UTC",
		"log_min_messages":  "warning",
		"log_checkpoints":   "on",
		"log_statement":     "none",
		// Statements hold secrets and people's data.
		"log_min_error_statement": "panic",
		"log_connections":         "off",
		"log_disconnections":      "off",
		"cluster_name":            "comeback",
	}
}

// TuneSettings make a restore into scratch fast, on a machine with some processors and
// bytes of memory. They trade safety for speed: a crash of the machine loses the cluster.
// SafeSettings takes that back.
//
// The figures are measured: fewer checkpoints and no WAL for fresh tables come
// first; more maintenance_work_mem than 64 MB and parallel maintenance beside
// two restore jobs were slower. Rows and B-trees go past the buffers to the kernel, which
// has the rest of the memory; a GIN index, which is built in them, takes a tenth to a
// quarter less time where they hold it.
func TuneSettings(cpus int, memory int64) map[string]string {
	const leastBuffers, mostBuffers = 128 << 20, 1 << 30
	buffers := min(max(memory/32, leastBuffers), mostBuffers)
	workers := 0
	if cpus > 2 {
		workers = 1
	}
	return map[string]string{
		"shared_buffers":                   fmt.Sprintf("%dMB", buffers>>20),
		"maintenance_work_mem":             "64MB",
		"max_wal_size":                     "4GB",
		"checkpoint_timeout":               "1h",
		"wal_level":                        "minimal",
		"wal_init_zero":                    "off", // what a new segment holds is not needed after a crash: fsync is off
		"max_wal_senders":                  "0",
		"fsync":                            "off",
		"full_page_writes":                 "off",
		"synchronous_commit":               "off",
		"autovacuum":                       "off",
		"max_parallel_maintenance_workers": strconv.Itoa(workers),
		"max_connections":                  "40",
		"max_locks_per_transaction":        "256",
	}
}

// TuneSettingsHere are TuneSettings for this machine.
func TuneSettingsHere() map[string]string { return TuneSettings(runtime.NumCPU(), Memory()) }

// SafeSettings replace what TuneSettings gave up, in so far as a running
// server can take it back with a reload.
func SafeSettings() map[string]string {
	return map[string]string{
		"checkpoint_timeout": "5min",
		"fsync":              "on",
		"full_page_writes":   "on",
		"wal_init_zero":      "on",
		"synchronous_commit": "on",
		"autovacuum":         "on",
	}
}
