package backrest

import (
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/pitr"
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
