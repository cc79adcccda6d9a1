package runbooks

import (
	"strings"
	"testing"
)

func TestParse_stages(t *testing.T) {
	runCases(t, []problemCase{
		{name: "none", edits: []string{"## Restore", "### Restore", "## Check", "### Check"}, want: []string{
			"18:1: error: this block stands in no stage; put it under a `## ` heading",
			"24:1: error: this block stands in no stage; put it under a `## ` heading",
			"30:1: error: the runbook has no stage; write `## NAME` above what is to be done",
		}},
		{name: "twice", add: "\n## restore\n", want: []string{
			"31:1: error: there is a stage `restore` already, on line 15; give this one another name",
		}},
		{name: "without a name", add: "\n##\n", want: []string{
			"31:1: error: this stage has no name; write `## NAME`",
		}},
		{name: "without blocks", add: "\n## Tea\nHave some.\n"},
		{name: "block before the first", edits: []string{"# Bring it back\n", "# Bring it back\n\n" + fence("sh", "# run: x", "true")}, want: []string{
			"15:1: error: this block stands in no stage; put it under a `## ` heading",
		}},
		{name: "item before the first", edits: []string{"# Bring it back\n", "# Bring it back\n\n- [ ] x\n"}, want: []string{
			"15:1: error: this item stands in no stage; put it under a `## ` heading",
		}},
		{name: "block after a later title", add: "\n# Appendix\n\n" + fence("sh", "# run: x", "true"), want: []string{
			"33:1: error: this block stands in no stage; put it under a `## ` heading",
		}},
		{name: "two owners", edits: []string{"Budget: 15m.", "Budget: 15m.\nOwner: on-call."}, want: []string{
			"17:1: error: the stage has another owner on line 16; keep one of them",
		}},
		{name: "empty owner", edits: []string{"Owner: on-call.", "Owner: ."}, want: []string{
			"16:1: error: the stage's owner is empty; write it or remove the word",
		}},
		{name: "bad budget", edits: []string{"Budget: 15m.", "Budget: soon."}, want: []string{
			"16:25: error: `soon` is not a duration; write it like 45s, 5m, 1h30m or 90d",
		}},
		{name: "misspelt owner", edits: []string{"Owner: on-call.", "Ower: on-call."}, want: []string{
			"16:1: warning: `Ower:` gives a stage neither an owner nor a budget; write `Owner:`",
		}},
		{name: "misspelt budget", edits: []string{"Owner: on-call. Budget: 15m.", "Bugdet: 15m."}, want: []string{
			"16:1: warning: `Bugdet:` gives a stage neither an owner nor a budget; write `Budget:`",
		}},
		{name: "item without a box", add: "\n- [] one\n- [ ]two\n- [ ](link)\n- plain\n", want: []string{
			"31:1: warning: this item has no box to tick; write `- [ ] ` with a space in and after the box",
			"32:1: warning: this item has no box to tick; write `- [ ] ` with a space in and after the box",
		}},
		{name: "item without space", add: "\n-[ ] one\n", want: []string{
			"31:1: warning: this is not an item to tick; write `- [ ] ` with a space after the dash",
		}},
		{name: "item that is ticked", add: "\n- [x] one\n", want: []string{
			"31:1: warning: this item is ticked in the file, and every run asks for it anew; write `- [ ]`",
		}},
		{name: "item that says nothing", add: "\n- [ ] \n", want: []string{
			"31:1: error: this item says nothing; write what is to be ticked",
		}},
		{name: "nested too deeply", add: "\n" + nested(51) + " x\n", want: []string{
			"31:1: error: lists and quotes are nested more than 50 deep; write it flat",
		}},
		{name: "line too long", add: "\n" + strings.Repeat("x", maxLine+1) + "\n", want: []string{
			"31:1: error: the line has 16385 bytes, and a runbook's has at most 16384; write it as several lines",
		}},
		{name: "nested deeply", add: "\n" + nested(50) + " x\n"},
	})
}

func nested(n int) string {
	s := ""
	for range n {
		s += "> "
	}
	return s
}

func TestParse_blocks(t *testing.T) {
	runCases(t, []problemCase{
		{name: "not closed", add: "\n```sh\n# run: x\ntrue\n\n## Lost\n", want: []string{
			"31:1: error: this block is not closed; write a line of three backticks below its last line",
		}},
		{name: "closed by the end of its item", add: "\n- a\n\n  ```sh\n  # run: x\n  true\n\nAfter.\n", want: []string{
			"33:3: error: this block is not closed; write a line of three backticks below its last line",
		}},
		{name: "closed with another mark", add: "\n~~~sh\n# run: x\ntrue\n```\n", want: []string{
			"31:1: error: this block is not closed; write a line of three backticks below its last line",
		}},
		{name: "language that disagrees", add: "\n" + fence("python", "# run: x", "print(1)"), want: []string{
			"31:1: error: `# run:` makes this block a shell script, and it is marked `python`; write `sh` after the backticks, or remove the marker",
		}},
		{name: "language that disagrees with YAML", edits: []string{"```yaml\nrestore", "```json\nrestore"}, want: []string{
			"18:1: error: `restore:` makes this block YAML, and it is marked `json`; write `yaml` after the backticks, or remove the marker",
		}},
		{name: "no language", edits: []string{"```yaml\nrestore", "```\nrestore", "```sql", "```"}},
		{name: "words after the language", edits: []string{"```yaml\nrestore", "```yaml title=x\nrestore", "```sql", "```SQL {x}"}},
		{name: "no fence", add: "\n    # run: x\n    true\n", want: []string{
			"31:5: warning: this block has no fence, so it never runs; put it between lines of three backticks",
		}},
		{name: "in a comment", add: "\n<!--\n```sh\n# run: x\n```\n-->\n", want: []string{
			"33:1: warning: `# run:` stands in HTML, so it never runs; take it out of the HTML, or delete it",
		}},
		{name: "folded away", add: "\n<details>\n\n" + fence("sh", "# run: x", "true") + "\n</details>\n\n" + fence("sh", "# run: y", "true"), want: []string{
			"33:1: warning: this block runs, and the page folds it away; take it out of `<details>`",
		}},
		{name: "marker misspelt", add: "\n" + fence("sh", "# rum: x", "true"), want: []string{
			"32:3: error: `rum` does not make a block run; write `# run:`",
		}},
		{name: "marker missing", add: "\n" + fence("sql", "-- on: database", "-- expect: 1", "select 1"), want: []string{
			"32:4: error: the block has `on:` but no `-- check:`, so it never runs; write `-- check: NAME` on its first line",
		}},
		{name: "marker too late", add: "\n" + fence("sh", "true", "# run: x"), want: []string{
			"33:1: warning: `# run:` is not at the top of its block, so the block never runs; write it on the block's first line",
		}},
		{name: "action misspelt", edits: []string{"restore: database", "resotre: database"}, want: []string{
			"19:1: error: `resotre` does nothing; write `restore`",
		}},
		{name: "other YAML", add: "\n" + fence("yaml", "services: [a]")},
		{name: "two actions", edits: []string{"restore: database", "restore: database\nswitch: database"}, want: []string{
			"20:1: error: `switch` has no place beside `restore`; put it into a block of its own",
		}},
		{name: "action with another key", edits: []string{"restore: database", "restore: database\nfrom: nearby"}, want: []string{
			"20:1: error: `from` has no place beside `restore`; remove it",
		}},
		{name: "restore of nothing", edits: []string{"restore: database", "restore:"}, want: []string{
			"19:1: error: `restore` has no value; write one or remove the key",
		}},
		{name: "restore of an empty list", edits: []string{"restore: database", "restore: []"}, want: []string{
			"19:10: error: the list of `restore` is empty; name something or remove the key",
		}},
		{name: "restore of an unknown component", edits: []string{"restore: database", "restore: databse"}, want: []string{
			"19:10: error: there is no component `databse`; write `database`",
		}},
		{name: "restore of something else", edits: []string{"restore: database", "restore: [database, cache]"}, want: []string{
			"19:21: error: there is no component `cache`; add it under `components`, or write one of database",
		}},
		{name: "restore twice in a list", edits: []string{"restore: database", "restore: [database, database]"}, want: []string{
			"19:21: error: `database` stands here twice; write it once",
		}},
		{name: "restore twice", add: "\n" + fence("yaml", "restore: database"), want: []string{
			"32:10: error: `database` is restored already, on line 19; restore it once",
		}},
		{name: "restore that is no YAML", edits: []string{"restore: database", "restore: [database"}, want: []string{
			"19:1: error: this is not YAML: did not find expected ',' or ']'; close the brace, bracket or quote that opens on line 19",
		}},
		{name: "restore too late", edits: []string{
			fence("yaml", "restore: database"), "", "-- check", "-- check"}, add: "\n" + fence("yaml", "switch: database") + "\n" + fence("yaml", "restore: database"), want: []string{
			"23:8: warning: `database` is restored only on line 33, so there is nothing to check yet; put the check below its restore",
			"29:9: error: `database` is restored only on line 33, so there is nothing to switch to yet; put the switch below its restore",
		}},
		{name: "switch of what no stage restores", edits: []string{"\n---\n# B", "\n  uploads: {kind: files}\n---\n# B"}, add: "\n" + fence("yaml", "switch: [database, uploads]"), want: []string{
			"33:20: warning: no stage restores `uploads`, so there is nothing to switch to, and a recovery is refused; write a YAML block `restore: uploads` in a stage before it, or leave it out of the `switch:`",
		}},
		{name: "switch of what a block may restore that cannot be read", edits: []string{"restore: database", "restore: [database"}, add: "\n" + fence("yaml", "switch: database"), want: []string{
			"19:1: error: this is not YAML: did not find expected ',' or ']'; close the brace, bracket or quote that opens on line 19",
		}},
		{name: "switch of an unknown component", add: "\n" + fence("yaml", "switch: cache"), want: []string{
			"32:9: error: there is no component `cache`; add it under `components`, or write one of database",
		}},
		{name: "no-break space", edits: []string{"restore: database", "restore:\u00a0database"}, want: []string{
			"19:1: error: a block consists of keys with values; write `key: value` lines",
			"19:9: error: this is a no-break space; write an ordinary space",
		}},
		{name: "zero width space", edits: []string{"-- expect: >= 1", "-- expect: \u200b>= 1"}, want: []string{
			"27:12: error: the character U+200B cannot be seen; delete it",
		}},
		{name: "text in another order", add: "\nabc \u202e def\n", want: []string{
			"31:5: error: the character U+202E cannot be seen; delete it",
		}},
		{name: "line separator", edits: []string{"rpo: 5m", "# \u2028\nrpo: 5m"}, want: []string{
			"4:3: error: the character U+2028 cannot be seen; delete it",
		}},
		{name: "indented block in a list", add: "\n1. First\n\n   ```sh\n   # run: x\n   # timeout: 5\n   true\n   ```\n", want: []string{
			"35:15: error: `5` has no unit; write `timeout: 5m` for minutes",
		}},
		{name: "block in a quote", add: "\n> ```sh\n> # run: x\n> # timeout: 5\n> true\n> ```\n", want: []string{
			"33:14: error: `5` has no unit; write `timeout: 5m` for minutes",
		}},
		{name: "block behind a tab", add: "\n-\ta\n\n\t```sh\n\t# run: x\n\t# timeout: 5\n\ttrue\n\t```\n", want: []string{
			"35:13: error: `5` has no unit; write `timeout: 5m` for minutes",
		}},
	})
}

func TestParse_shell(t *testing.T) {
	runCases(t, []problemCase{
		{name: "no name", add: "\n" + fence("sh", "# run:", "true"), want: []string{
			"32:3: error: this `run` has no name; write what it does, like `# run: smoke test`",
		}},
		{name: "nothing to run", add: "\n" + fence("sh", "# run: x", "# in: both", "", "# nothing"), want: []string{
			"31:1: error: this block has nothing to run; write the commands below its `# run:` line",
		}},
		{name: "bad place", add: "\n" + fence("sh", "# run: x", "# in: rehersal", "true"), want: []string{
			"33:7: error: a block cannot run in `rehersal`; write `# in: rehearsal`",
		}},
		{name: "unknown place", add: "\n" + fence("sh", "# run: x", "# in: production", "true"), want: []string{
			"33:7: error: a block cannot run in `production`; write recovery, rehearsal or both",
		}},
		{name: "bad timeout", add: "\n" + fence("sh", "# run: x", "# timeout: 90", "true"), want: []string{
			"33:12: error: `90` has no unit; write `timeout: 90m` for minutes",
		}},
		{name: "misspelt key", add: "\n" + fence("sh", "# run: x", "# timout: 90s", "true"), want: []string{
			"33:3: error: `timout` is not a key of a shell block; write `timeout`",
		}},
		{name: "comment that looks like a key", add: "\n" + fence("sh", "# run: x", "# see: the wiki", "true"), want: []string{
			"33:3: error: `see` is not a key of a shell block; put an empty line above it if it is a comment, or write one of run, in, timeout, env, terminal",
		}},
		{name: "comment below an empty line", add: "\n" + fence("sh", "# run: x", "", "# see: the wiki", "true")},
		{name: "key twice", add: "\n" + fence("sh", "# run: x", "# in: both", "# in: recovery", "true"), want: []string{
			"34:3: error: `in` stands here again, first on line 33; keep one of them",
		}},
		{name: "bad variable", add: "\n" + fence("sh", "# run: x", "# env: A, $B, A", "true"), want: []string{
			"33:8: error: `$B` is not the name of an environment variable; write names only, like `# env: APP_URL, API_TOKEN`",
		}},
		{name: "the operator's agent", add: "\n" + fence("sh", "# run: x", `ssh -o IdentityAgent="$SSH_AUTH_SOCK" db1`), want: []string{
			"31:1: error: a block never gets SSH_AUTH_SOCK, which would lend it the operator's keys; use a key of its own",
		}},
		{name: "name twice", add: "\n" + fence("sh", "# run: orders", "true"), want: []string{
			"32:8: error: there is a block named `orders` already, on line 25; give this one another name",
		}},
	})
}

func TestParse_checks(t *testing.T) {
	sql := func(lines ...string) string { return "\n" + fence("sql", lines...) }
	runCases(t, []problemCase{
		{name: "no name", add: sql("-- check:", "-- on: database", "-- expect: 1", "select 1"), want: []string{
			"32:4: error: this `check` has no name; write what it does, like `-- check: orders came back`",
		}},
		{name: "no component", add: sql("-- check: x", "-- expect: 1", "select 1"), want: []string{
			"32:4: error: the check does not say which component it asks; write `-- on: database`",
		}},
		{name: "unknown component", add: sql("-- check: x", "-- on: databsae", "-- expect: 1", "select 1"), want: []string{
			"33:8: error: there is no component `databsae`; write `database`",
		}},
		{name: "component that is no database", edits: []string{"\n---\n# B", "\n  uploads: {kind: files}\n---\n# B"}, add: sql("-- check: x", "-- on: uploads", "-- expect: 1", "select 1"), want: []string{
			"12:3: warning: no stage restores `uploads`; write a YAML block `restore: uploads` in a stage",
			"34:8: error: `uploads` is of kind files and cannot be asked in SQL; write `database`",
		}},
		{name: "no expectation", add: sql("-- check: x", "-- on: database", "select 1"), want: []string{
			"32:4: error: the check does not say what it expects, so it proves nothing; write for example `-- expect: >= 1`",
		}},
		{name: "empty expectation", add: sql("-- check: x", "-- on: database", "-- expect:", "select 1"), want: []string{
			"32:4: error: the check does not say what it expects, so it proves nothing; write for example `-- expect: >= 1`",
		}},
		{name: "misspelt key", add: sql("-- check: x", "-- on: database", "-- expects: 1", "select 1"), want: []string{
			"34:4: error: `expects` is not a key of a check; write `expect`",
		}},
		{name: "no query", add: sql("-- check: x", "-- on: database", "-- expect: 1", "-- select 1;"), want: []string{
			"32:4: error: the check has no query; write one SELECT below its expectation",
		}},
		{name: "two statements", add: sql("-- check: x", "-- on: database", "-- expect: 1", "", "select 1;", "select 2"), want: []string{
			"36:1: error: the check has 2 statements; write one SELECT, and a second check for a second question",
		}},
		{name: "psql's command", add: sql("-- check: x", "-- on: database", "-- expect: 1", `\dt`), want: []string{
			"35:1: error: the query holds a command of psql; write SQL: psql does not run it",
		}},
		{name: "name twice", add: sql("-- check: orders", "-- on: database", "-- expect: 1", "select 1"), want: []string{
			"32:11: error: there is a block named `orders` already, on line 25; give this one another name",
		}},
		{name: "files without anything", add: "\n" + fence("yaml", "check: files"), want: []string{
			"32:1: error: the check does not say which files there should be; write `rows: select path, sha256 from TABLE`",
			"32:1: error: the check does not say which component holds the files; write `files: COMPONENT`",
		}},
		{name: "files with a tolerance that is none", edits: []string{"\n---\n# B", "\n  uploads: {kind: files}\n---\n# B"},
			add: "\n" + fence("yaml", "restore: uploads") + "\n" + fence("yaml", "check: f", "rows: select 1", "files: uploads", "missing: few", "unknown: any", "different: 0.5%"), want: []string{
				"40:10: error: `few` does not say how many may be missing; write `missing: 3`, `missing: 0.1%` or `missing: any`",
			}},
		{name: "soundness", add: "\n" + fence("yaml", "check: f", "sound: [indexes, foreign key, colour]"), want: []string{
			"33:18: error: a database cannot be looked at for `foreign key`; write `foreign keys`",
			"33:31: error: a database cannot be looked at for `colour`; write one of indexes, foreign keys, sequences, collations, extensions, checksums, amcheck, record",
		}},
		{name: "files with a misspelt key", add: "\n" + fence("yaml", "check: f", "row: select 1", "files: database"), want: []string{
			"33:1: error: `row` is not a key of a check of files; write `rows`",
			"34:8: error: `database` is of kind postgres and holds no files that rows list; write a component of kind files",
		}},
		{name: "files with an unknown component", add: "\n" + fence("yaml", "check: f", "rows: select path, sha256 from u", "files: uploads"), want: []string{
			"34:8: error: there is no component `uploads`; add it under `components`, or write one of database",
		}},
		{name: "files with two databases", edits: []string{"\n---\n# B", "\n  second: {kind: postgres}\n---\n# B"}, add: "\n" + fence("yaml", "check: f", "rows: select 1", "files: second"), want: []string{
			"12:3: warning: no stage restores `second`; write a YAML block `restore: second` in a stage",
			"33:1: error: the check does not say which component it asks, and 2 are databases; write `on: COMPONENT`",
			"35:8: error: `second` is of kind postgres and holds no files that rows list; write a component of kind files",
		}},
		{name: "SQL as YAML", add: "\n" + fence("yaml", "check: f", "on: database", "expect: 1", "query: select 1"), want: []string{
			"32:1: error: the check does not say which files there should be; write `rows: select path, sha256 from TABLE`",
			"32:1: error: the check does not say which component holds the files; write `files: COMPONENT`",
			"34:1: error: `expect` is not a key of a check of files; remove it, or write one of check, on, rows, files, missing, different, unknown",
			"35:1: error: `query` is not a key of a check of files; remove it, or write one of check, on, rows, files, missing, different, unknown",
		}},
		{name: "reference", add: "\n" + fence("yaml", "check: f", "rows: select '${X}'", "files: database"), want: []string{
			"33:7: error: `rows` cannot refer to the environment; write the value: only copies, components and `notify` take references",
			"34:8: error: `database` is of kind postgres and holds no files that rows list; write a component of kind files",
		}},
	})
}
