package backrest

import (
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/said"
)

// What pgBackRest 2.45 says of a backup of PostgreSQL 18, and 2.60 of its configuration.
func TestFailure(t *testing.T) {
	err := failure(25, "pgbackrest: ASSERT: [025]: invalid PostgreSQL version 180000 (exit status 25)")
	if hint := recovery.HintOf(err); !strings.Contains(hint, "install a pgBackRest here that is not older") {
		t.Errorf("%v: the hint is %q", err, hint)
	}
	for line, want := range map[string]string{
		"P00   WARN: configuration file contains invalid option 'x'":                   "WARN: configuration file contains invalid option 'x'",
		"P00  ERROR: [055]: unable to open missing file '/x/pgbackrest.conf' for read": "ERROR: [055]: unable to open missing file '/x/pgbackrest.conf' for read",
		"P00   INFO: restore command begin 2.60.0:":                                    "",
		`[{"archive":[],"name":"P00 ERROR: "}]`:                                        "",
	} {
		if text, fatal := complaint(line); text != want || fatal != strings.HasPrefix(want, "ERROR") {
			t.Errorf("%q complains %q, fatal %v", line, text, fatal)
		}
	}
}

// What pgBackRest's info says of a stanza that is not in order: that of the repository counts
// before the stanza's own, and what cannot be judged is no empty copy.
func TestStanza_judge(t *testing.T) {
	info := func(stanza, repo string) string {
		return `[{"archive":[],"backup":[],"cipher":"none","db":[],"name":"shop","repo":[` + repo + `],"status":{"lock":{"backup":{"held":false}},` + stanza + `}}]`
	}
	repo := func(key, status string) string {
		return `{"cipher":"none","key":` + key + `,"status":{` + status + `}}`
	}
	const (
		ok         = `"code":0,"message":"ok"`
		noPath     = `"code":1,"message":"missing stanza path"`
		noBackup   = `"code":2,"message":"no valid backups"`
		noData     = `"code":3,"message":"missing stanza data"`
		mixed      = `"code":4,"message":"different across repos"`
		mismatch   = `"code":5,"message":"database mismatch across repos"`
		noSuchBack = `"code":6,"message":"requested backup not found"`
		other      = `"code":99,"message":"[CryptoError] unable to load info file '/r/backup/shop/backup.info'"`
	)
	for name, test := range map[string]struct{ info, says, do, err string }{
		"in order":                   {info: info(ok, repo("1", ok))},
		"no such backup":             {info: info(noSuchBack, repo("1", noSuchBack))},
		"no path":                    {info(noPath, repo("1", noPath)), "repository 1 does not have it (missing stanza path)", "stanza-create", ""},
		"no data":                    {info(noData, repo("1", noData)), "repository 1 does not have it (missing stanza data)", "stanza-create", ""},
		"it is not there":            {"[]", "repository 1 does not have it (missing stanza path)", "stanza-create", ""},
		"no backup":                  {info(noBackup, repo("1", noBackup)), "repository 1 holds no backup of it", "pgbackrest --stanza=shop backup", ""},
		"mixed, this one in order":   {info: info(mixed, repo("1", ok)+","+repo("2", noPath))},
		"mixed, this one has none":   {info(mixed, repo("1", noBackup)+","+repo("2", ok)), "repository 1 holds no backup of it", "pgbackrest --stanza=shop backup", ""},
		"mixed, this one is unnamed": {info(mixed, repo("2", ok)), "pgBackRest says: different across repos", "pgbackrest --stanza=shop check", ""},
		"mismatch":                   {info(mismatch, ""), "pgBackRest says: database mismatch across repos", "pgbackrest --stanza=shop check", ""},
		"another":                    {info: info(other, repo("1", other)), err: "judge stanza shop: pgbackrest: [CryptoError]"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseInfo([]byte(test.info), "shop")
			if err != nil {
				t.Fatal(err)
			}
			var c pitr.Contents
			err = s.judge(1, &c)
			var says, do string
			if len(c.Findings) == 1 {
				says, do = c.Findings[0].Says, c.Findings[0].Do
			}
			if says != test.says || !strings.Contains(do, test.do) || len(c.Findings) > 1 {
				t.Errorf("the findings are %+v", c.Findings)
			}
			if (err == nil) != (test.err == "") || err != nil && (!strings.Contains(err.Error(), test.err) || recovery.HintOf(err) == "") {
				t.Errorf("the error is %v (%s), want %q", err, recovery.HintOf(err), test.err)
			}
		})
	}
}

// recorder is a meter that keeps what it is told.
type recorder struct {
	recovery.Meter
	done []int64
	log  []string
}

func (r *recorder) Set(n int64)     { r.done = append(r.done, n) }
func (r *recorder) Log(line string) { r.log = append(r.log, line) }

// The log of a restore of pgBackRest 2.45, however it is cut up: how far it is, which of the
// files were kept, and what it failed of, with the lines that belong to it.
func TestRestoreLog(t *testing.T) {
	const text = `P00   INFO: restore command begin 2.45: --config=/x --stanza=shop
P00   INFO: repo1: restore backup set 20261128-010203F, recovery will start at 2026-11-28 01:02:03
P01 DETAIL: restore file /s/data/base/5/2608 (472KB, 25%) checksum 0a1b
P02 DETAIL: restore file /s/data/base/5/1249 - exists and matches backup (464KB, 49.5%) checksum 1b2c
P01 DETAIL: restore zeroed file /s/data/base/5/16384 (8KB, 50%)
P01 DETAIL: restore file /s/data/PG_VERSION (3B, 100.00%) checksum 2c3d
a line of somebody else
P00   WARN: --delta or --force specified but unable to find 'PG_VERSION'
P00  ERROR: [050]: unable to acquire lock on file '/run/shop.lock'
            HINT: is another pgBackRest process running?
P00   INFO: restore command end: aborted with exception [050]
`
	for _, size := range []int{1, 7, 100, len(text)} {
		m := &recorder{}
		l := &restoreLog{meter: m, total: 1000}
		lines := &said.Lines{Each: l.line}
		for rest := []byte(text); len(rest) > 0; {
			n, err := lines.Write(rest[:min(size, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if want := []int64{250, 495, 500, 1000}; !slices.Equal(m.done, want) {
			t.Errorf("in pieces of %d it is at %v, want %v", size, m.done, want)
		}
		if l.files != 4 || l.kept != 1 || l.version != "pgBackRest 2.45" || l.code != 50 {
			t.Errorf("in pieces of %d: %d files, %d kept, by %q, code %d", size, l.files, l.kept, l.version, l.code)
		}
		if want := "unable to acquire lock on file '/run/shop.lock'\nHINT: is another pgBackRest process running?"; l.failed != want {
			t.Errorf("in pieces of %d it failed of %q, want %q", size, l.failed, want)
		}
		if all := strings.Join(m.log, "\n"); !strings.Contains(all, "a line of somebody else") || !strings.Contains(all, "WARN: --delta") || strings.Contains(all, "--config=/x") || strings.Contains(all, "DETAIL") {
			t.Errorf("in pieces of %d the log is\n%s", size, all)
		}
	}
}
