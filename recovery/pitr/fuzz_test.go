package pitr

import (
	"fmt"
	"strings"
	"testing"

	"comeback/recovery/pitr/xlog"
)

// What lies in a copy, and what pg_waldump prints, may be anything: it is read
// or refused, and nothing panics.

func FuzzParseRecord(f *testing.F) {
	for _, line := range []string{
		"rmgr: Transaction len (rec/tot):     34/    34, tx:        953, lsn: 0/035AECE8, prev 0/035AECA8, desc: COMMIT 2026-11-23 10:23:33.676000 UTC",
		"rmgr: Transaction len (rec/tot):     82/    82, tx:        954, lsn: 0/035AED10, prev 0/035AECE8, desc: COMMIT 2026-11-23 10:23:33.678000 UTC; subxacts: 955 956; rels: base/16385/16421",
		"rmgr: Transaction len (rec/tot):     34/    34, tx:        957, lsn: 0/035AED70, prev 0/035AED10, desc: ABORT 2026-11-23 10:23:34.000000 UTC",
		"rmgr: Transaction len (rec/tot):     62/    62, tx:          0, lsn: 0/035AEDA0, prev 0/035AED70, desc: COMMIT_PREPARED 958: 2026-11-23 10:23:34.100000 UTC",
		"rmgr: Standby     len (rec/tot):     50/    50, tx:          0, lsn: 0/035AEDE0, prev 0/035AEDA0, desc: RUNNING_XACTS nextXid 959 latestCompletedXid 958 oldestRunningXid 959",
		"rmgr: Standby     len (rec/tot):     42/    42, tx:        959, lsn: 0/035AEE00, prev 0/035AEDE0, desc: LOCK xid 959 db 16385 rel 16391",
		"rmgr: Database    len (rec/tot):     42/    42, tx:        960, lsn: 0/035AEE20, prev 0/035AEDE0, desc: DROP dir 1663/16385",
		"pg_waldump: error: error in WAL record at 0/35AEE50: invalid record length",
		"rmgr: ", "",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if r, ok, err := parseRecord(line); ok && err == nil && r.Kind == commitRecord && (r.XID == 0 || r.Time.IsZero()) {
			t.Errorf("%q is a commit of nothing: %+v", line, r)
		}
	})
}

func TestParseRecord(t *testing.T) {
	r, ok, err := parseRecord([]byte("rmgr: Transaction len (rec/tot):     82/    82, tx:        954, lsn: 0/035AED10, prev 0/035AECE8, desc: COMMIT 2026-11-23 10:23:33.678000 UTC; subxacts: 955 956; rels: base/16385/16421"))
	if err != nil || !ok || r.Kind != commitRecord || r.XID != 954 || r.LSN != 0x35AED10 || r.Prev != 0x35AECE8 || len(r.Subs) != 2 ||
		r.Time.Format("15:04:05.000 MST") != "10:23:33.678 UTC" {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	// Of a prepared transaction the id stands in the text, and tx is 0.
	r, ok, err = parseRecord([]byte("rmgr: Transaction len (rec/tot):     62/    62, tx:          0, lsn: 0/035AEDA0, prev 0/035AED70, desc: COMMIT_PREPARED 958: 2026-11-23 10:23:34.100000 UTC"))
	if err != nil || !ok || r.Kind != commitRecord || r.XID != 958 {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
}

func FuzzParseFileName(f *testing.F) {
	for _, name := range []string{"000000010000000000000001", "wal/000000010000000000000001.gz", "00000002.history", "000000010000000000000001.00000028.backup",
		"000000010000000000000001.partial", "0000000G0000000000000001", "backup_label", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if file, ok := ParseFileName(name); ok && (file.Timeline == 0 || !strings.Contains(strings.ToUpper(name), fmt.Sprintf("%08X", file.Timeline))) {
			t.Errorf("%q is a file of timeline %d", name, file.Timeline)
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add("1\t0/3000000\tno recovery target specified\n2\t0/5000000\tbefore 2026-11-23 02:41:07+00\n")
	f.Add("START WAL LOCATION: 0/2500028 (file 000000010000000000000025)\nCHECKPOINT LOCATION: 0/2500060\nSTART TIME: 2026-11-23 10:23:32 UTC\nLABEL: nightly\nSTART TIMELINE: 1\n")
	f.Add(`{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{"Path": "backup_label", "Size": 226, "Checksum-Algorithm": "CRC32C", "Checksum": "00000000"}], "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/2", "End-LSN": "0/3"}], "Manifest-Checksum": "00"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if forks, err := parseHistory(text); err == nil {
			for _, fork := range forks {
				if fork.Parent == 0 {
					t.Errorf("%q has a fork of no timeline", text)
				}
			}
		}
		_, _ = parseLabel(text)
		_, _ = parseManifest(strings.NewReader(text), func(string, manifestFile) {})
		_, _ = xlog.ParseHeader([]byte(text))
		_, _ = parseSpace([]byte(text))
	})
}
