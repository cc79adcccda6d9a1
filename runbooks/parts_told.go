package runbooks

// Part is a part of a runbook whose keys this package reads itself, and not an engine.
type Part struct {
	// Says is what it is, as a heading.
	Says string
	Keys []Key
}

// envKey, every and patient are told of several blocks.
var (
	envKey  = Key{Name: "env", Example: "# env: APP_URL, API_TOKEN", Doc: "the variables of the environment that it sees; those that it mentions if it is missing"}
	every   = Key{Name: "every", Example: "every: 10s", Doc: "how often it is asked; 5s if it is missing"}
	patient = Key{Name: "timeout", Example: "timeout: 30m", Doc: "after how long it fails; 10m if it is missing"}
	onKey   = Key{Name: "on", Example: "-- on: database", Doc: "the component that is asked; the only database if it is missing"}
	expect  = Key{Name: "expect", Example: "-- expect: >= 40000", Required: true,
		Doc: "= 42, >= 1, between 1 and 9, = 'text', within 10m (of the moment), no rows, rows (at least one), in {a, b} (one value of these), or set {a, b} (the rows are exactly these, in any order)"}
)

// Parts are the copies, and the blocks by the lines that they begin with.
func Parts() []Part {
	return []Part{
		{"a copy, under copies:", []Key{
			{Name: "url", Example: "s3://shop-backups/shop", Required: true, Doc: "where it lies: file:///DIRECTORY or s3://BUCKET/PREFIX"},
			{Name: "region", Example: "eu-central-1", Doc: "the bucket's region; that of the profile or of the environment if it is missing"},
			{Name: "profile", Example: "backups", Doc: "the profile of ~/.aws whose credentials read it; those of the environment if it is missing"},
			{Name: "endpoint", Example: "https://s3.example.com", Doc: "the address of a service that speaks S3's protocol; AWS if it is missing"},
			{Name: "path_style", Example: "true", Doc: "true where the service takes the bucket in the path, as MinIO does, and not in the host's name"},
			{Name: "role", Example: "arn:aws:iam::210987654321:role/backups", Doc: "a role that is assumed first"},
			{Name: "account", Example: `"210987654321"`, Doc: "the account that must own the bucket, twelve digits in quotes; anybody's if it is missing"},
		}},
		{"a shell block that runs once, # run:", []Key{
			{Name: "run", Example: "# run: smoke test", Required: true, Doc: "its name"},
			{Name: "in", Example: "# in: both", Doc: "where it runs: recovery, rehearsal or both; recovery if it is missing"},
			{Name: "timeout", Example: "# timeout: 2m", Doc: "after how long it is ended, and has failed; no limit of its own if it is missing"},
			envKey,
			{Name: "terminal", Example: "# terminal: yes", Doc: "yes where it talks with a person, whose terminal it gets (comeback terminal RUN); such a recovery needs somebody"},
		}},
		{"a shell block that waits until it exits with 0, # wait:", []Key{
			{Name: "wait", Example: "# wait: the application answers", Required: true, Doc: "its name"},
			{Name: "in", Example: "# in: both", Doc: "as of # run:"}, every, patient, envKey,
		}},
		{"a shell block that starts the application in a rehearsal, # start:", []Key{
			{Name: "start", Example: "# start: the shop", Required: true, Doc: "its name"},
			{Name: "url", Example: "# url: APP_URL=http://127.0.0.1:8080", Doc: "the variable that has its address, and the address in its box"},
			{Name: "ready", Example: "# ready: /health", Required: true, Doc: "a path that it answers once it has started, or a text in a line that it writes"},
			{Name: "timeout", Example: "# timeout: 2m", Doc: "how long it may take to start"}, envKey,
		}},
		{"a query that is checked, -- check:", []Key{
			{Name: "check", Example: "-- check: orders came back", Required: true, Doc: "its name"}, onKey, expect,
		}},
		{"a query that is waited for, -- wait:", []Key{
			{Name: "wait", Example: "-- wait: the search index is built", Required: true, Doc: "its name"}, onKey, expect, every, patient,
		}},
	}
}
