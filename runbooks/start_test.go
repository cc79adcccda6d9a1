package runbooks

import "testing"

func TestParse_startsThatAreWrong(t *testing.T) {
	sh := func(lines ...string) string { return "\n" + fence("sh", lines...) }
	yml := func(lines ...string) string { return "\n" + fence("yaml", lines...) }
	good := sh("# start: shop", "# url: APP=http://127.0.0.1:80", "# ready: /up", "serve")
	runCases(t, []problemCase{
		{name: "by a path", add: sh("# start: shop", "# url: APP=http://localhost:80/", "# ready: /up", "# timeout: 5s", "# env: APP", "serve")},
		{name: "by a line", add: sh("# start: shop", "# ready: listening on", "serve")},
		{name: "asked for nothing", add: sh("# start: shop", "serve"), want: []string{
			"32:3: error: the start does not say when the application has started; write `# ready: /health`, a path that it answers then, or `# ready: TEXT` of a line that it writes"}},
		{name: "without an address", add: sh("# start: shop", "# ready: /up", "serve"), want: []string{
			"32:3: error: the start does not say where /up is answered; write `# url: APP_URL=http://127.0.0.1:8080`"}},
		{name: "addresses", add: sh("# start: a", "# url: http://127.0.0.1:80", "# ready: x", "serve") + sh("# start: b", "# url: A=https://127.0.0.1:80", "# ready: x", "serve") +
			sh("# start: c", "# url: A=http://shop.example.com:80", "# ready: x", "serve"), want: []string{
			"33:8: error: an application's url is a variable and its address; write it like `# url: APP_URL=http://127.0.0.1:8080`",
			"40:8: error: `https://127.0.0.1:80` is not the address of an application; write it like `# url: APP_URL=http://127.0.0.1:8080`",
			"47:8: error: `shop.example.com:80` is not on the application's own loopback, which is all the network that it has; write it like `# url: APP_URL=http://127.0.0.1:8080`"}},
		{name: "keys of others", add: sh("# start: shop", "# ready: x", "# in: both", "serve") + sh("# run: x", "# ready: x", "true"), want: []string{
			"34:3: error: `in` is not a key of a start; remove it: an application is started in a rehearsal only",
			"40:3: error: `ready` is not a key of a shell block; write `# start:` in place of `# run:`, or remove it"}},
		{name: "marker missing", add: sh("# ready: /up", "serve"), want: []string{
			"32:3: error: the block has `ready:` but no `# start:`, so it never runs; write `# start: NAME` on its first line"}},
		{name: "asks an answer", add: good + yml("check: up", `http: "${APP}/up"`, "status: 204", "body: it is"), want: []string{
			"40:8: warning: the runbook does not say where a person finds APP; write `needs: {APP: \"WHERE FROM\"}`"}},
		{name: "asks nobody", add: yml("check: up", `http: "https://shop.example.com/up"`, "status: 2000") + yml("check: down", `http: "shop.example.com"`), want: []string{
			"34:9: error: `2000` is not a status of HTTP; write `status: 200`",
			"39:7: error: `shop.example.com` is not an address; write it like `http: \"${APP_URL}/health\"`"}},
	})
}
