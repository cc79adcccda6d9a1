package backrest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/said"
)

// Restore has pgBackRest restore a backup. Where an earlier attempt was cut off, it
// compares what is there with the checksums of its manifest and writes the rest.
func (r *repository) Restore(ctx context.Context, b pitr.Base, to pitr.Restoring) (pitr.Restored, error) {
	s, err := r.info(ctx, b.ID)
	if err != nil {
		return pitr.Restored{}, err
	}
	args := []string{"restore", "--set=" + b.ID, "--type=none", "--archive-mode=off", "--log-level-console=detail", "--log-level-stderr=off",
		"--process-max=" + strconv.Itoa(r.atOnce()), "--pg1-path=" + to.Data,
		// Whatever else its configuration says of a restore is meant for the stanza's own cluster.
		"--no-link-all", "--reset-link-map", "--reset-recovery-option", "--reset-db-include", "--reset-db-exclude",
		"--reset-tablespace-map-all", "--reset-pg1-host"}
	delta, err := canResume(to)
	if err != nil {
		return pitr.Restored{}, err
	}
	mapped, err := mapSpaces(s, b.ID, to)
	if err != nil {
		return pitr.Restored{}, err
	}
	args = append(append(args, delta), mapped...)
	meter := r.access.Env.Meter()
	log := &restoreLog{meter: meter, total: b.Unpacked}
	own := []string{"PGBACKREST_LOCK_PATH=" + filepath.Join(to.Own, "lock"), "PGBACKREST_SPOOL_PATH=" + filepath.Join(to.Own, "spool"),
		"PGBACKREST_LOG_PATH=" + filepath.Join(to.Own, "log")}
	if err := r.run(ctx, &said.Lines{Each: log.line}, own, args...); err != nil {
		if log.failed != "" && ctx.Err() == nil {
			return pitr.Restored{}, failure(log.code, log.failed)
		}
		return pitr.Restored{}, err
	}
	return pitr.Restored{Files: log.files, Bytes: b.Unpacked, Kept: log.kept, Proof: "pgBackRest has held every file against the checksum in its manifest",
		Facts: map[string]string{"stanza": r.Stanza, "repository": strconv.Itoa(r.Repo), "restored by": log.version, "manifest": "every file matches the manifest of pgBackRest"}}, nil
}

// atOnce is how many processes restore.
func (r *repository) atOnce() int {
	if r.Processes > 0 {
		return r.Processes
	}
	return min(max(1, runtime.NumCPU()), 16)
}

// mapSpaces has every tablespace of a backup restored into a directory of scratch.
func mapSpaces(s stanza, label string, to pitr.Restoring) ([]string, error) {
	var args []string
	for _, b := range s.Backups {
		if b.Label != label {
			continue
		}
		for _, t := range b.Tablespaces {
			if _, err := strconv.ParseUint(t.OID.String(), 10, 32); err != nil {
				return nil, fmt.Errorf("the tablespace %q of backup %s has the oid %q", t.Name, label, t.OID)
			}
			dir, err := to.Space(t.OID.String())
			if err != nil {
				return nil, err
			}
			args = append(args, "--tablespace-map="+t.OID.String()+"="+dir)
		}
		if len(args) == 0 {
			args = []string{"--reset-tablespace-map"}
		}
		return args, nil
	}
	return nil, recovery.Errorf("choose the moment again", "pgBackRest does not list backup %s any more; it may have expired", label).WithExit(recovery.Refused)
}

// canResume is the option that goes on with what an earlier attempt has left: pgBackRest
// does that where it finds its manifest, or a cluster's version, in the directory. What is
// there without either is removed.
func canResume(to pitr.Restoring) (string, error) {
	if to.Resumed {
		for _, name := range []string{"backup.manifest", "PG_VERSION"} {
			if _, err := os.Lstat(filepath.Join(to.Data, name)); err == nil {
				return "--delta", nil
			}
		}
	}
	return "--no-delta", to.Clear()
}

var (
	logLine     = pattern.New(`^P\d+ +(DETAIL|INFO|WARN|ERROR|ASSERT): (.*)$`)
	restoredLog = pattern.New(`^restore (?:zeroed )?file .*\([0-9.]+[KMGTP]?i?B?, ([0-9.]+)%\)`)
	failedLog   = pattern.New(`^\[(\d+)\]: (.*)$`)
	beginLog    = pattern.New(`^restore command begin ([0-9][^:]*):`)
)

// restoreLog reads the log of a restore: its progress is shown, what people should know
// is kept, and its last error is the failure.
type restoreLog struct {
	meter recovery.Meter
	total int64

	files, kept int
	version     string
	// failed is what the last error says, with the lines that follow it.
	failed  string
	code    int
	failing bool
}

func (l *restoreLog) line(text string) {
	m := logLine.FindStringSubmatch(text)
	if m == nil {
		if l.failing {
			l.failed += "\n" + strings.TrimSpace(text)
		}
		if strings.TrimSpace(text) != "" {
			l.meter.Log(text)
		}
		return
	}
	level, says := m[1], m[2]
	l.failing = false
	if level == "DETAIL" {
		if at := restoredLog.FindStringSubmatch(says); at != nil {
			l.files++
			if strings.Contains(says, " - exists and ") {
				l.kept++
			}
			if percent, err := strconv.ParseFloat(at[1], 64); err == nil {
				l.meter.Set(int64(percent / 100 * float64(l.total)))
			}
		}
		return
	}
	if begin := beginLog.FindStringSubmatch(says); begin != nil {
		l.version = "pgBackRest " + begin[1]
		return // its options are those of this package
	}
	if f := failedLog.FindStringSubmatch(says); f != nil && (level == "ERROR" || level == "ASSERT") {
		if code, err := strconv.Atoi(f[1]); err == nil {
			l.code = code
		}
		l.failed, l.failing = f[2], true
	}
	l.meter.Log(level + ": " + says)
}
