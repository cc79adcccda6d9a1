package runbooks

import "testing"

const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN8CHTObPeX4fu1iRtBtTVm6Npj6kZsA/7P6sKi1TNtW`

func TestParse_waitsThatAreWrong(t *testing.T) {
	sql := func(lines ...string) string { return "\n" + fence("sql", lines...) }
	sh := func(lines ...string) string { return "\n" + fence("sh", lines...) }
	runCases(t, []problemCase{
		{name: "SQL", add: sql("-- wait: x", "-- on: database", "-- expect: rows", "-- every: 1s", "-- timeout: 1h", "select 1")},
		{name: "shell", add: sh("# wait: x", "# in: both", "# every: 1s", "# timeout: 1h", "true")},
		{name: "terminal", add: sh("# run: x", "# terminal: yes", "psql") + sh("# run: y", "# terminal: no", "true")},
		{name: "no name", add: sql("-- wait:", "-- on: database", "-- expect: rows", "select 1") + sh("# wait:", "true"), want: []string{
			"32:4: error: this `wait` has no name; write what it does, like `-- wait: the search index is built`",
			"39:3: error: this `wait` has no name; write what it does, like `# wait: the application answers`",
		}},
		{name: "nothing to ask", add: sql("-- wait: x", ""), want: []string{
			"32:4: error: the wait does not say which component it asks; write `-- on: database`",
			"32:4: error: the wait does not say what it waits for; write for example `-- expect: >= 1`",
			"32:4: error: the wait has no query; write one SELECT below its expectation",
		}},
		{name: "two statements", add: sql("-- wait: x", "-- on: database", "-- expect: rows", "select 1; select 2"), want: []string{
			"35:1: error: the wait has 2 statements; write one SELECT, and a second wait for a second question",
		}},
		{name: "nothing to run", add: sh("# wait: x"), want: []string{
			"31:1: error: this block has nothing to run; write the commands below its `# wait:` line",
		}},
		{name: "misspelt", add: sql("-- wiat: x", "-- on: database", "select 1") + sh("# wai: x", "true"), want: []string{
			"32:4: error: `wiat` does not make a block run; write `-- wait:`",
			"38:3: error: `wai` does not make a block run; write `# wait:`",
		}},
		{name: "marker missing", add: sql("-- on: database", "-- every: 5s", "select 1") + sh("# every: 5s", "true") + sh("# terminal: yes", "true"), want: []string{
			"32:4: error: the block has `on:` but no `-- wait:`, so it never runs; write `-- wait: NAME` on its first line",
			"38:3: error: the block has `every:` but no `# wait:`, so it never runs; write `# wait: NAME` on its first line",
			"43:3: error: the block has `terminal:` but no `# run:`, so it never runs; write `# run: NAME` on its first line",
		}},
		{name: "marker too late", add: sh("true", "# wait: x") + sql("select 1;", "-- wait: y"), want: []string{
			"33:1: warning: `# wait:` is not at the top of its block, so the block never runs; write it on the block's first line",
			"38:1: warning: `-- wait:` is not at the top of its block, so the block never runs; write it on the block's first line",
		}},
		{name: "no fence", add: "\n    # wait: x\n    true\n", want: []string{
			"31:5: warning: this block has no fence, so it never runs; put it between lines of three backticks",
		}},
		{name: "language that disagrees", add: "\n" + fence("python", "# wait: x", "print(1)"), want: []string{
			"31:1: error: `# wait:` makes this block a shell script, and it is marked `python`; write `sh` after the backticks, or remove the marker",
		}},
		{name: "misspelt key", add: sql("-- wait: x", "-- on: database", "-- expect: rows", "-- evry: 5s", "-- timout: 5m", "select 1"), want: []string{
			"35:4: error: `evry` is not a key of a wait for a query; write `every`",
			"36:4: error: `timout` is not a key of a wait for a query; write `timeout`",
		}},
		{name: "keys of a wait in others", add: sql("-- check: x", "-- on: database", "-- expect: rows", "-- every: 5s", "-- timeout: 5m", "select 1") + sh("# run: y", "# every: 5s", "true"), want: []string{
			"35:4: error: `every` is not a key of a check; write `-- wait:` in place of `-- check:`, or remove it",
			"36:4: error: `timeout` is not a key of a check; write `-- wait:` in place of `-- check:`, or remove it: the stage's budget bounds a check",
			"42:3: error: `every` is not a key of a shell block; write `# wait:` in place of `# run:`, or remove it",
		}},
		{name: "two markers", add: sh("# run: x", "# wait: x", "true") + sql("-- wait: y", "-- check: y", "-- on: database", "-- expect: rows", "select 1"), want: []string{
			"33:3: error: `wait` is not a key of a shell block; keep one of `# run:` and `# wait:`",
			"39:4: error: `check` is not a key of a wait for a query; keep one of `-- check:` and `-- wait:`",
		}},
		{name: "every longer than timeout", add: sh("# wait: x", "# every: 20m", "true"), want: []string{
			"33:10: error: a wait that asks every 20m and ends after 10m asks once; write a shorter `every:` or a longer `timeout:`",
		}},
		{name: "short timeout", add: sh("# wait: x", "# timeout: 2s", "true")},
		{name: "durations", add: sh("# wait: x", "# every: 5", "# timeout: soon", "true") + sql("-- wait: y", "-- on: database", "-- expect: rows", "-- every: 0s", "select 1"), want: []string{
			"33:10: error: `5` has no unit; write `every: 5m` for minutes",
			"34:12: error: `soon` is not a duration; write it like 45s, 5m, 1h30m or 90d",
			"42:11: error: `0s` is too short; write at least 1s",
		}},
		{name: "terminal in a wait", add: sh("# wait: x", "# terminal: yes", "true"), want: []string{
			"33:3: error: `terminal` is not a key of a wait in the shell; remove it: what is run again and again cannot talk with a person",
		}},
		{name: "terminal that says nothing", add: sh("# run: x", "# terminal: true", "true"), want: []string{
			"33:13: error: `true` is neither yes nor no; write `# terminal: yes` if the script talks with a person, or remove the line",
		}},
		{name: "unknown component", add: sql("-- wait: x", "-- on: databse", "-- expect: rows", "select 1"), want: []string{
			"33:8: error: there is no component `databse`; write `database`",
		}},
	})
}

func TestParse_approvals(t *testing.T) {
	people := func(more string) []string { return []string{`reach: "+00"}]`, `reach: "+00"}` + more + `]`} }
	lead := `, {role: lead, reach: "#i", key: "` + key + `"}`
	approve := func(role string) string { return "\n" + fence("yaml", "approve: "+role) }
	runCases(t, []problemCase{
		{name: "fine", edits: people(lead), add: approve("lead") + "\n## Later\n" + approve("Lead")},
		{name: "unknown role", edits: people(lead), add: approve("laed"), want: []string{
			"32:10: error: nobody under `people` is `laed`; write `approve: lead`",
		}},
		{name: "nobody like that", edits: people(lead), add: approve("chairman"), want: []string{
			"32:10: error: nobody under `people` is `chairman`; add this role with a `key` under `people`, or write one of on-call, lead",
		}},
		{name: "nobody at all", edits: []string{"people: [{role: on-call, reach: \"+00\"}]\n", ""}, add: approve("lead"), want: []string{
			"31:10: error: nobody under `people` is `lead`; add `{role: lead, reach: \"HOW\", key: \"ssh-ed25519 AAAA…\"}` under `people`",
		}},
		{name: "no key", add: approve("on-call"), want: []string{
			"32:10: error: `on-call` has no key, and an approval is a signature; write `{role: on-call, reach: \"HOW\", key: \"ssh-ed25519 AAAA…\"}` under `people`",
		}},
		{name: "no public key", edits: people(`, {role: lead, key: "ssh-ed25519 AAAA…"}`), add: approve("lead"), want: []string{
			"6:41: error: the key of `lead`, who is to approve, is not an SSH public key; write the line of a file such as ~/.ssh/id_ed25519.pub",
		}},
		{name: "two of a role", edits: people(lead + lead), add: approve("lead"), want: []string{
			"32:10: error: 2 people are `lead`, and an approval is by one of them; give each a role of their own",
		}},
		{name: "twice in a stage", edits: people(lead), add: approve("lead") + approve("lead"), want: []string{
			"36:10: error: `lead` approves in this stage already, on line 32; remove it, or put it into a stage of its own",
		}},
		{name: "with something else", edits: people(lead), add: "\n" + fence("yaml", "approve: lead", "by: noon"), want: []string{
			"33:1: error: `by` has no place beside `approve`; remove it",
		}},
		{name: "misspelt", edits: people(lead), add: "\n" + fence("yaml", "aprove: lead"), want: []string{
			"32:1: error: `aprove` does nothing; write `approve`",
		}},
		{name: "a list", edits: people(lead), add: "\n" + fence("yaml", "approve: [lead]"), want: []string{
			"32:10: error: `approve` takes one value; write `approve: value`",
		}},
	})
}

func TestParse_notify(t *testing.T) {
	notify := func(value string, more ...string) []string {
		return append([]string{"rpo: 5m", "notify: " + value + "\nrpo: 5m"}, more...)
	}
	const secret = "let the program read it from a file of its own, or name a script that does"
	runCases(t, []problemCase{
		{name: "words", edits: notify(`[/usr/local/bin/page, --room, "#incidents", --token-file, /etc/page]`)},
		{name: "one word", edits: notify("page")},
		{name: "a reference", edits: notify(`[page, "--room=${ROOM}"]`, "{DATABASE_URL", "{ROOM: the rota, DATABASE_URL")},
		{name: "a path with a space", edits: notify(`["/opt/our tools/page"]`)},
		{name: "a command line", edits: notify(`page --room "#incidents"`, `"#incidents"`, `x`), want: []string{
			"4:9: error: no shell cuts this command into words; write `notify: [\"page\", \"--room\", \"x\"]`, each word by itself",
		}},
		{name: "a command line in a list", edits: notify(`["page x"]`), want: []string{
			"4:10: error: `page x` is not the name of a program; write the program and its arguments as words of their own",
		}},
		{name: "a relative path", edits: notify(`bin/page`), want: []string{
			"4:9: error: `bin/page` is another program in every directory; write its absolute path, like `/usr/local/bin/page`",
		}},
		{name: "a directory", edits: notify(`/usr/local/bin/`), want: []string{
			"4:9: error: `/usr/local/bin/` is not the path of a program; write its absolute path, like `/usr/local/bin/page`",
		}},
		{name: "a program that is a reference", edits: notify(`["${DATABASE_URL}"]`), want: []string{
			"4:10: error: the program to call a person with must stand in the runbook; write its absolute path",
			"4:11: error: DATABASE_URL is a secret, and a command line can be read by every user of the host; " + secret,
		}},
		{name: "nothing", edits: notify(`[]`), want: []string{
			"4:9: error: the list of `notify` is empty; name something or remove the key",
		}},
		{name: "a shell's words", edits: notify(`[page, x, "|", mail, 2>&1]`), want: []string{
			"4:19: error: `|` is for a shell, and none reads this command; put the commands into a script, and name the script",
			"4:30: error: `2>&1` is for a shell, and none reads this command; put the commands into a script, and name the script",
		}},
		{name: "an unlisted reference", edits: notify(`[page, "${ROOM}"]`), want: []string{
			"4:17: error: `needs` does not list ROOM, so nobody is asked for it; write `needs: {ROOM: \"WHERE FROM\"}`, or its value here",
		}},
		{name: "a reference without braces", edits: notify(`[page, $ROOM]`), want: []string{
			"4:16: error: `$ROOM` is not a reference; write `${ROOM}`",
		}},
		{name: "a secret by name", edits: notify(`[page, --token, "${PAGER_TOKEN}"]`, "{DATABASE_URL", "{PAGER_TOKEN: the vault, DATABASE_URL"), want: []string{
			"4:26: error: PAGER_TOKEN is a secret, and a command line can be read by every user of the host; " + secret,
		}},
		{name: "an address", edits: notify(`[page, "${DATABASE_URL}"]`), want: []string{
			"4:17: error: DATABASE_URL is a secret, and a command line can be read by every user of the host; " + secret,
		}},
		{name: "literal secrets", edits: notify(`[page, --token, abc, --password=abc, "Authorization: Bearer abc", "https://x/?token=abc"]`), want: []string{
			"4:25: error: a secret on a command line can be read by every user of the host; " + secret,
			"4:30: error: a secret on a command line can be read by every user of the host; " + secret,
			"4:46: error: a secret on a command line can be read by every user of the host; " + secret,
			"4:75: error: a secret on a command line can be read by every user of the host; " + secret,
		}},
	})
}
