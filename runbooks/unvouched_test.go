package runbooks_test

import (
	"testing"

	"comeback/runbooks"
)

// What a runbook would have this host run or tell is found by what its keys are, of the
// engines that would read them.
func TestRunbook_Reaches(t *testing.T) {
	t.Parallel()
	v := runbooks.Vocabulary{Engines: []runbooks.Schema{
		{Engine: "dump", Kind: "postgres", Keys: []runbooks.Key{{Name: "url"}, {Name: "database"}}},
		{Engine: "far", Kind: "postgres", Keys: []runbooks.Key{{Name: "url"}, {Name: "environment", Program: true}, {Name: "program", Program: true}}},
		{Engine: "commands", Kind: "postgres", Keys: []runbooks.Key{{Name: "environment", Program: true}, {Name: "list", Command: true}}},
	}}
	database := func(with string, settings map[string][]string) runbooks.Runbook {
		return runbooks.Runbook{Components: []runbooks.Component{{Name: "database", Kind: "postgres", With: with, Settings: settings}}}
	}
	copied := func(c runbooks.Copy) runbooks.Runbook {
		c.Name = "nearby"
		return runbooks.Runbook{Copies: []runbooks.Copy{c}}
	}
	for name, c := range map[string]struct {
		runbook runbooks.Runbook
		want    string
	}{
		"nothing":                    {database("", map[string][]string{"url": {"${DATABASE_URL}"}, "database": {"shop"}}), ""},
		"a person is called":         {runbooks.Runbook{Notify: []string{"/bin/page"}}, "its `notify:` is a command that this host would run"},
		"commands":                   {database("commands", map[string][]string{"environment": {"A=b"}, "list": {"/bin/list"}}), "its component database has commands that this host would run"},
		"a program":                  {database("far", map[string][]string{"program": {"/bin/far"}}), "`program` of its component database says what this host would run"},
		"of whichever engine":        {database("", map[string][]string{"environment": {"A=b"}}), "`environment` of its component database says what this host would run"},
		"no engine of its reads it":  {database("dump", map[string][]string{"program": {"/bin/far"}}), ""},
		"a part of an address":       {database("", map[string][]string{"url": {"postgres://u:${SECRET}@db/shop"}}), "`url` of its component database says to whom this host would tell $SECRET"},
		"a copy by a whole variable": {copied(runbooks.Copy{URL: "${COPY}"}), ""},
		"a copy by a part":           {copied(runbooks.Copy{URL: "s3://bucket/${SECRET}"}), "the address of its copy nearby says to whom this host would tell $SECRET"},
		"its account":                {copied(runbooks.Copy{URL: "s3://bucket", Account: "${SECRET}"}), "its copy nearby says to whom this host would tell $SECRET"},
	} {
		if got := c.runbook.Reaches(v); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// What a rehearsal would do on this host by the words of its runbook is its scripts, and what
// tells an address something of the environment.
func TestRunbook_Acts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		block runbooks.Block
		acts  bool
	}{
		"a script":                   {runbooks.Shell{Name: "it"}, true},
		"one of a recovery":          {runbooks.Shell{Name: "it", In: runbooks.InRecovery}, false},
		"one that waits":             {runbooks.ShellWait{Shell: runbooks.Shell{Name: "it"}}, true},
		"an application":             {runbooks.Start{Shell: runbooks.Shell{Name: "it"}}, true},
		"an address":                 {runbooks.HTTPCheck{Name: "it", URL: "http://localhost/"}, false},
		"an address with a variable": {runbooks.HTTPCheck{Name: "it", URL: "http://localhost/${SECRET}"}, true},
		"a check":                    {runbooks.SQLCheck{Name: "it"}, false},
	} {
		r := runbooks.Runbook{Stages: []runbooks.Stage{{}, {Blocks: []runbooks.Block{c.block}}}}
		if got := r.Acts(); (got == "it") != c.acts || got != "" && !c.acts {
			t.Errorf("%s: %q", name, got)
		}
	}
}
