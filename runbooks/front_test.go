package runbooks

import "testing"

func TestParse_frontMatter(t *testing.T) {
	runCases(t, []problemCase{
		{name: "none", edits: []string{"---\ncomeback", "comeback"}, want: []string{
			"1:1: error: the file has no front matter; begin the file with a line `---`, then `comeback: 1`, `system: NAME` and so on, then a line `---`",
		}},
		{name: "late", edits: []string{"---\ncomeback", "\n\n---\ncomeback"}, want: []string{
			"3:1: error: the front matter does not begin on the first line; delete the empty lines before it",
		}},
		{name: "not closed", edits: []string{"${DATABASE_URL}\"}\n---\n", "${DATABASE_URL}\"}\n"}, want: []string{
			"1:1: error: the front matter is not closed; write a line `---` after its last key",
		}},
		{name: "a list", edits: []string{small[4:frontEnd], "- a\n"}, want: []string{
			"2:1: error: the front matter consists of keys with values; begin the file with a line `---`, then `comeback: 1`, `system: NAME` and so on, then a line `---`",
		}},
		{name: "empty", edits: []string{small[4:frontEnd], ""}, want: []string{
			"1:1: error: the runbook does not say which format it has; write `comeback: 1`",
			"1:1: error: the runbook does not name its system; write `system: NAME`",
			"1:1: error: the runbook names no copy; write where backups are: `copies: {offsite: {url: \"s3://BUCKET/PREFIX\"}}`",
			"1:1: error: the runbook names no component; write what comes back: `components: {database: {kind: postgres}}`",
			"1:1: warning: the runbook does not say how much may be lost; write `rpo: 5m`",
			"1:1: warning: the runbook does not say how long the system may be down; write `rto: 30m`",
			"9:10: error: there is no component `database`; add it under `components`",
			"16:8: error: there is no component `database`; add it under `components`",
		}},
		{name: "no version", edits: []string{"comeback: 1\n", ""}, want: []string{
			"1:1: error: the runbook does not say which format it has; write `comeback: 1`",
		}},
		{name: "wrong version", edits: []string{"comeback: 1", "comeback: 2"}, want: []string{
			"2:11: error: the runbook has format 2, and this program reads format 1; write `comeback: 1`, or use a newer program",
		}},
		{name: "no system", edits: []string{"system: shop\n", ""}, want: []string{
			"1:1: error: the runbook does not name its system; write `system: NAME`",
		}},
		{name: "system is a path", edits: []string{"system: shop", "system: ../shop"}, want: []string{
			"3:9: error: `../shop` cannot be the name of a system; use letters, digits, `-`, `_` and `.`, at most 63, beginning with a letter or a digit",
		}},
		{name: "system is empty", edits: []string{"system: shop", "system:"}, want: []string{
			"3:1: error: `system` has no value; write one or remove the key",
		}},
		{name: "system is a reference", edits: []string{"system: shop", `system: "${SYSTEM}"`}, want: []string{
			"3:9: error: `system` cannot refer to the environment; write the value: only copies, components and `notify` take references",
		}},
		{name: "misspelt key", edits: []string{"system: shop", "sytem: shop"}, want: []string{
			"3:1: error: `sytem` is not a key of a runbook; write `system`",
		}},
		{name: "unknown key", edits: []string{"rpo: 5m", "colour: blue\nrpo: 5m"}, want: []string{
			"4:1: error: `colour` is not a key of a runbook; remove it, or write one of comeback, system, formerly, rpo, rto, rehearse, people, production, notify, needs, copies, components, without",
		}},
		{name: "kinds that it does without", edits: []string{"rpo: 5m", "without: [code, fils, postgres]\nrpo: 5m"}, want: []string{
			"4:17: error: `fils` is not a kind of component; write `files`",
			"4:23: error: the system is said to have no postgres, and its component database is that; remove one of the two",
		}},
		{name: "other names", edits: []string{"rpo: 5m", "formerly: [webshop, shop, webshop, a b]\nrpo: 5m"}, want: []string{
			"4:21: error: `shop` is what the system is called now; leave it out of `formerly`, which has the names that it had",
			"4:27: error: `formerly` names `webshop` twice; leave one of them out",
			"4:36: error: `a b` cannot be the name of a system; use letters, digits, `-`, `_` and `.`, at most 63, beginning with a letter or a digit",
		}},
		{name: "key twice", edits: []string{"rpo: 5m", "rpo: 5m\nrpo: 6m"}, want: []string{
			"5:1: error: `rpo` stands here again, first on line 4; keep one of them",
		}},
		{name: "no objectives", edits: []string{"rpo: 5m\nrto: 30m\n", ""}, want: []string{
			"1:1: warning: the runbook does not say how much may be lost; write `rpo: 5m`",
			"1:1: warning: the runbook does not say how long the system may be down; write `rto: 30m`",
		}},
		{name: "duration without unit", edits: []string{"rto: 30m", "rto: 30"}, want: []string{
			"5:6: error: `30` has no unit; write `rto: 30m` for minutes",
		}},
		{name: "duration in words", edits: []string{"rto: 30m", "rto: half an hour"}, want: []string{
			"5:6: error: `half an hour` is not a duration; write it like 45s, 5m, 1h30m or 90d",
		}},
		{name: "duration with long unit", edits: []string{"rto: 30m", "rto: 30min"}, want: []string{
			"5:6: error: `30min` is not a duration; write it like 45s, 5m, 1h30m or 90d",
		}},
		{name: "duration of nothing", edits: []string{"rto: 30m", "rto: 0m"}, want: []string{
			"5:6: error: `0m` is too short; write at least 1s",
		}},
		{name: "duration beyond measure", edits: []string{"rto: 30m", "rto: 99999999999w"}, want: []string{
			"5:6: error: `99999999999w` is too long; write it like 45s, 5m, 1h30m or 90d",
		}},
		{name: "duration is a list", edits: []string{"rto: 30m", "rto: [30m]"}, want: []string{
			"5:6: error: `rto` takes one value; write `rto: value`",
		}},
		{name: "people not a list", edits: []string{`[{role: on-call, reach: "+00"}]`, `{role: on-call}`}, want: []string{
			"6:1: error: `people` is a list; write `- {role: ROLE, reach: \"HOW\"}` for each",
		}},
		{name: "person without role", edits: []string{`{role: on-call, reach`, `{reach`}, want: []string{
			"6:10: error: this person has no role; write `role: ROLE`",
		}},
		{name: "person's key misspelt", edits: []string{`{role: on-call, reach`, `{role: on-call, raech`}, want: []string{
			"6:26: error: `raech` is not a key of a person; write `reach`",
		}},
		{name: "needs with a reference", edits: []string{"{DATABASE_URL: the vault}", `{"${DATABASE_URL}": the vault}`}, want: []string{
			"7:9: error: `${DATABASE_URL}` is not the name of an environment variable; write a name without ${}, like `DATABASE_URL: \"from the vault\"`",
		}},
		{name: "needs without a place", edits: []string{"{DATABASE_URL: the vault}", "{DATABASE_URL: }"}, want: []string{
			"7:9: error: `DATABASE_URL` has no value; write one or remove the key",
		}},
		{name: "reference without need", edits: []string{"needs: {DATABASE_URL: the vault}\n", ""}, want: []string{
			"10:36: warning: the runbook does not say where a person finds DATABASE_URL; write `needs: {DATABASE_URL: \"WHERE FROM\"}`",
		}},
		{name: "production is empty", edits: []string{"rpo: 5m", "production: []\nrpo: 5m"}, want: []string{
			"4:13: error: the list of `production` is empty; name something or remove the key",
		}},
		{name: "owner whom nobody is", edits: []string{"Owner: on-call", "Owner: on-cal"}, want: []string{
			"16:8: warning: nobody under `people` is `on-cal`; write `on-call`",
		}},
		{name: "budgets above the RTO", edits: []string{"Budget: 15m", "Budget: 40m"}, want: []string{
			"15:1: warning: the budgets of the stages add up to 40m, more than the RTO of 30m; lower the budgets, or promise less",
		}},
	})
}

func TestParse_yaml(t *testing.T) {
	runCases(t, []problemCase{
		{name: "tab", edits: []string{"  nearby:", "\tnearby:"}, want: []string{
			"9:1: error: this is not YAML: found character that cannot start any token; indent with spaces: YAML does not take tabs",
		}},
		{name: "reference without quotes in braces", edits: []string{`"${DATABASE_URL}"`, "${DATABASE_URL}"}, want: []string{
			`11:36: error: this is not YAML: did not find expected ',' or '}'; put quotes around references: "${DATABASE_URL}"`,
		}},
		{name: "colon in a value", edits: []string{"{DATABASE_URL: the vault}", "\n  DATABASE_URL: vault: shop"}, want: []string{
			`8:22: error: this is not YAML: mapping values are not allowed in this context; put quotes around a value that holds ": ", and align keys of one level`,
		}},
		{name: "quote not closed", edits: []string{"reach: \"+00\"", "reach: \"+00"}, want: []string{
			"9:18: error: this is not YAML: did not find expected ',' or '}' (while parsing a flow mapping that begins on line 6); close the brace, bracket or quote that opens on line 6",
		}},
		{name: "brace not closed", edits: []string{`reach: "+00"}]`, `reach: "+00"]`}, want: []string{
			"6:38: error: this is not YAML: did not find expected ',' or '}'; close the brace, bracket or quote that opens on line 6",
		}},
		{name: "special character", edits: []string{"system: shop", "system: @shop"}, want: []string{
			"3:9: error: this is not YAML: found character that cannot start any token; put quotes around the value",
		}},
		{name: "two documents", edits: []string{"rpo: 5m", "...\nrpo: 5m"}, want: []string{
			"2:1: error: this is not YAML: expected single document, found multiple; write one document: no line --- or ... in the middle",
		}},
		{name: "anchor and alias", edits: []string{"rpo: 5m\nrto: 30m", "rpo: &x 5m\nrto: *x"}, want: []string{
			"4:6: error: `&x` names a value to repeat it elsewhere; write each value out",
			"5:6: error: `*x` repeats a value from elsewhere; write the value out",
		}},
		{name: "merge", edits: []string{"{url: \"file:///var/backups/shop\"}", "{<<: {url: \"file:///var/backups/shop\"}}"}, want: []string{
			"9:3: error: copy `nearby` has no url; write `url: \"file:///DIR\"` or `url: \"s3://BUCKET/PREFIX\"`",
			"9:12: error: `<<` is not a key of a copy; remove it, or write one of url, region, profile, endpoint, path_style, role, account",
		}},
		{name: "tag", edits: []string{"rpo: 5m", "rpo: !!str 5m"}, want: []string{
			"4:6: error: `!!str` is a YAML tag; write the value without it",
		}},
		{name: "key is a list", edits: []string{"rpo: 5m", "[rpo]: 5m\nrpo: 5m"}, want: []string{
			"4:1: error: this key is not a word; write a word before the colon",
		}},
	})
}

func TestParse_parts(t *testing.T) {
	url := `"file:///var/backups/shop"`
	runCases(t, []problemCase{
		{name: "no copies", edits: []string{"copies:\n  nearby: {url: \"file:///var/backups/shop\"}\n", ""}, want: []string{
			"1:1: error: the runbook names no copy; write where backups are: `copies: {offsite: {url: \"s3://BUCKET/PREFIX\"}}`",
		}},
		{name: "empty copies", edits: []string{"\n  nearby: {url: \"file:///var/backups/shop\"}\n", " {}\n"}, want: []string{
			"8:1: error: the runbook names no copy; write `NAME: {url: \"s3://BUCKET/PREFIX\"}` under `copies:`",
		}},
		{name: "copies without value", edits: []string{"\n  nearby: {url: \"file:///var/backups/shop\"}\n", "\n"}, want: []string{
			"8:8: error: `copies` has no value; write its keys or remove it",
		}},
		{name: "copy without url", edits: []string{"{url: " + url + "}", "{region: eu-central-1}"}, want: []string{
			"9:3: error: copy `nearby` has no url; write `url: \"file:///DIR\"` or `url: \"s3://BUCKET/PREFIX\"`",
		}},
		{name: "copy is text", edits: []string{"{url: " + url + "}", url}, want: []string{
			"9:11: error: a copy consists of keys with values; write its keys: url, region, profile, endpoint, path_style, role, account",
		}},
		{name: "copy's key misspelt", edits: []string{"{url: " + url + "}", "{ulr: " + url + "}"}, want: []string{
			"9:12: error: `ulr` is not a key of a copy; write `url`",
		}},
		{name: "copy's name", edits: []string{"nearby:", "near by:"}, want: []string{
			"9:3: error: `near by` cannot be the name of a copy; use letters, digits, `-`, `_` and `.`, at most 63, beginning with a letter or a digit",
		}},
		{name: "copy twice", edits: []string{"components:", "  nearby: {url: \"file:///x\"}\ncomponents:"}, want: []string{
			"10:3: error: `nearby` stands here again, first on line 9; keep one of them",
		}},
		{name: "two slashes", edits: []string{url, "file://var/backups"}, want: []string{
			"9:17: error: a file url has three slashes before an absolute path; write `file:///var/backups`",
		}},
		{name: "a path", edits: []string{url, "/var/backups"}, want: []string{
			"9:17: error: a copy's url has a scheme; write `url: \"file:///var/backups\"`",
		}},
		{name: "another scheme", edits: []string{url, "https://example.com/x"}, want: []string{
			"9:17: error: no copy can be read from `https://`; write `file:///DIR` or `s3://BUCKET/PREFIX`",
		}},
		{name: "misspelt scheme", edits: []string{url, "s4://bucket/x"}, want: []string{
			"9:17: error: no copy can be read from `s4://`; write `s3://`",
		}},
		{name: "no scheme", edits: []string{url, "bucket/x"}, want: []string{
			"9:17: error: this is not the url of a copy; write `file:///DIR` or `s3://BUCKET/PREFIX`",
		}},
		{name: "no bucket", edits: []string{url, "s3:///x"}, want: []string{
			"9:17: error: the url names no bucket; write `s3://BUCKET/PREFIX`",
		}},
		{name: "query", edits: []string{url, "s3://bucket/x?region=eu"}, want: []string{
			"9:17: error: a copy's url ends with its path; remove what follows the `?` or `#`; region, profile and endpoint are keys of their own",
		}},
		{name: "s3 keys on a directory", edits: []string{url, url + ", region: eu"}, want: []string{
			"9:45: warning: `region` means nothing for a directory; remove it",
		}},
		{name: "account", edits: []string{"{url: " + url, "{url: \"s3://b/x\", account: 1234"}, want: []string{
			"9:38: error: `1234` is not an account; write its twelve digits in quotes",
		}},
		{name: "path style", edits: []string{"{url: " + url, "{url: \"s3://b/x\", path_style: yes"}, want: []string{
			"9:41: error: `yes` is neither true nor false; write `path_style: true` or remove the key",
		}},
		{name: "endpoint", edits: []string{"{url: " + url, "{url: \"s3://b/x\", endpoint: localhost:9000"}, want: []string{
			"9:39: error: `localhost:9000` is not the address of a service; write it like `endpoint: \"https://s3.example.com\"`",
		}},
		{name: "no kind", edits: []string{"{kind: postgres, ", "{"}, want: []string{
			"11:3: error: component `database` does not say what it is; write `kind: postgres`, files, config or code",
		}},
		{name: "kind misspelt as key", edits: []string{"{kind: postgres", "{knd: postgres"}, want: []string{
			"11:14: error: `knd` is not a key of a component; write `kind`",
		}},
		{name: "kind misspelt", edits: []string{"kind: postgres", "kind: postgre"}, want: []string{
			"11:20: error: `postgre` is not a kind of component; write `postgres`",
		}},
		{name: "kind unknown", edits: []string{"kind: postgres", "kind: oracle"}, want: []string{
			"11:20: error: `oracle` is not a kind of component; write one of postgres, files, config, code",
		}},
		{name: "setting is a mapping", edits: []string{`"${DATABASE_URL}"`, "{a: b}"}, want: []string{
			"11:35: error: `url` takes one value or a list; write `url: value`",
		}},
		{name: "component twice", edits: []string{"\n---\n# B", "\n  database: {kind: files}\n---\n# B"}, want: []string{
			"12:3: error: `database` stands here again, first on line 11; keep one of them",
		}},
		{name: "component that no stage restores", edits: []string{"\n---\n# B", "\n  uploads: {kind: files}\n---\n# B"}, want: []string{
			"12:3: warning: no stage restores `uploads`; write a YAML block `restore: uploads` in a stage",
		}},
	})
}

func TestParse_references(t *testing.T) {
	reference := `"${DATABASE_URL}"`
	runCases(t, []problemCase{
		{name: "without braces", edits: []string{reference, `"$DATABASE_URL"`}, want: []string{
			"11:36: error: `$DATABASE_URL` is not a reference; write `${DATABASE_URL}`",
		}},
		{name: "with a default", edits: []string{reference, `"${DATABASE_URL:-x}"`}, want: []string{
			"11:36: error: a reference is the name of a variable and nothing else; write `${DATABASE_URL}`",
		}},
		{name: "not closed", edits: []string{reference, `"${DATABASE_URL"`}, want: []string{
			"11:36: error: this reference is not closed; write `${DATABASE_URL}`",
		}},
		{name: "without a name", edits: []string{reference, `"é ${}"`}, want: []string{
			"11:38: error: a reference is the name of a variable and nothing else; write the name of a variable, like `${DATABASE_URL}`",
		}},
		{name: "second of two", edits: []string{reference, `"${DATABASE_URL}/${1X}"`}, want: []string{
			"11:52: error: a reference is the name of a variable and nothing else; write the name of a variable, like `${DATABASE_URL}`",
		}},
	})
}

func TestParse_secrets(t *testing.T) {
	runCases(t, []problemCase{
		{name: "url in the front matter", edits: []string{"${DATABASE_URL}", "postgres://shop:hunter2@db1/shop"}, want: []string{
			"11:52: error: a password in a url stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "url with a reference", edits: []string{"${DATABASE_URL}", "postgres://shop:${DATABASE_URL}@db1/shop"}},
		{name: "url in a script", add: "\n" + fence("sh", "# run: x", "curl https://u:hunter2@example.com/"), want: []string{
			"33:16: error: a password in a url stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "url in documentation", add: "\n" + fence("sh", "curl https://u:hunter2@example.com/"), want: []string{
			"32:16: warning: a password in a url stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "placeholder", add: "\ncurl https://u:***@example.com/\n"},
		{name: "PGPASSWORD", add: "\n" + fence("sh", "# run: x", "PGPASSWORD=hunter2 psql"), want: []string{
			"33:12: error: a password stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "PGPASSWORD from the environment", add: "\n" + fence("sh", "# run: x", `PGPASSWORD="$PW" psql`)},
		{name: "connection string", edits: []string{"${DATABASE_URL}", "host=db1 user=shop password=hunter2"}, want: []string{
			"11:64: error: a password stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "in another problem", edits: []string{"file:///var/backups/shop", "file://u:hunter2@host/x"}, want: []string{
			"9:17: error: a file url has three slashes before an absolute path; write `file:///u:***@host/x`",
			"9:27: error: a password in a url stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
		{name: "private key", add: "\n" + fence("", "-----BEGIN OPENSSH PRIVATE KEY-----"), want: []string{
			"32:1: warning: a private key stands in the file; write a reference such as `${DATABASE_URL}`, and change the secret: others have read it",
		}},
	})
}
