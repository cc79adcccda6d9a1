package plan_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// starting is the runbook of the other tests with an application that is asked in
// this stage and in the next.
var starting = text + "\n## Open\n" +
	"```sh\n# start: the shop\n# url: APP_URL=http://127.0.0.1:8080\n# ready: /health\n# timeout: 20s\nserve \"$COMEBACK_DATABASE\" \"$APP_URL\"\n```\n" +
	"```yaml\ncheck: it is healthy\nhttp: \"${APP_URL}/health\"\nbody: ok\n```\n" +
	"```yaml\ncheck: it is admired\nhttp: \"https://${FAN_URL}/\"\nstatus: 204\n```\n" +
	"## Look\n```yaml\ncheck: it sells\nhttp: \"${APP_URL}/orders\"\n```\n" +
	"## Try\n```sh\n# run: smoke test\n# in: both\ncurl -fsS \"$APP_URL/smoke\"\n```\n## Afterwards\n- [ ] all is well\n"

// An application is started in a rehearsal, asked through its box and stopped at the
// end of the last stage that asks it; what has no address in scratch is not checked.
// In a recovery nothing is started, and the addresses are the real ones.
func TestMake_start(t *testing.T) {
	p, err := makePlan(t, func(o *plan.Options) { o.Runbook = parse(t, starting) })
	if err != nil {
		t.Fatal(err)
	}
	last := len(p.Stages) - 2
	var start, stop, ask, try recovery.Step
	for _, s := range p.Steps {
		switch s.Kind {
		case recovery.KindStart:
			start = s
		case recovery.KindStop:
			stop = s
		case recovery.KindHTTPCheck:
			ask = s
		case recovery.KindShell:
			try = s
		}
	}
	var tried recovery.ShellArgs
	if err := try.Decode(&tried); err != nil || tried.Name != "smoke test" || !reflect.DeepEqual(tried.Set, map[string]string{"APP_URL": "http://127.0.0.1:8080"}) ||
		len(tried.Bind)+len(tried.Env) > 0 {
		t.Errorf("the script is %+v, %v", tried, err)
	}
	var began recovery.StartArgs
	if err := start.Decode(&began); err != nil || began.Name != "the shop" || began.URL != "http://127.0.0.1:8080" || began.Ready != "/health" ||
		time.Duration(began.Timeout) != 20*time.Second || !reflect.DeepEqual(began.Set, map[string]string{"APP_URL": began.URL}) ||
		!reflect.DeepEqual(began.Bind, map[string]string{"COMEBACK_DATABASE": "database"}) || len(began.Env) > 0 {
		t.Errorf("the start is %+v, %v", began, err)
	}
	var asked recovery.HTTPCheckArgs
	if err := ask.Decode(&asked); err != nil || asked != (recovery.HTTPCheckArgs{Name: "it sells", URL: "http://127.0.0.1:8080/orders", Application: "the shop", Status: 200}) {
		t.Errorf("the check is %+v, %v", asked, err)
	}
	if stop.Stage != last || stop.Stage != try.Stage || !slices.Contains(stop.After, try.ID) || !slices.Contains(try.After, ask.ID) || !slices.Contains(stop.After, start.ID) || !slices.Contains(ask.After, start.ID) {
		t.Errorf("the stop is %+v", stop)
	}
	if end := p.Steps[len(p.Steps)-1]; end.Kind != recovery.KindTicks || !slices.Contains(end.After, stop.ID) {
		t.Errorf("the end is %+v", end)
	}
	if !slices.ContainsFunc(p.NotExecuted, func(n recovery.NotExecuted) bool { return n.Check && n.What == "check: it is admired" }) {
		t.Errorf("not executed: %+v", p.NotExecuted)
	}
	p, err = makePlan(t, func(o *plan.Options) {
		o.Runbook, o.Mode = parse(t, strings.Replace(starting, "```yaml\nswitch: database\n```\n", "", 1)), recovery.Recovery
	})
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, s := range p.Steps {
		if s.Kind == recovery.KindStart || s.Kind == recovery.KindStop {
			t.Errorf("a recovery has %+v", s)
		}
		if s.Kind == recovery.KindHTTPCheck {
			var c recovery.HTTPCheckArgs
			if err := s.Decode(&c); err != nil || c.Application != "" {
				t.Errorf("%+v, %v", c, err)
			}
			urls = append(urls, c.URL)
		}
	}
	if got := strings.Join(urls, " "); got != "${APP_URL}/health https://${FAN_URL}/ ${APP_URL}/orders" {
		t.Errorf("asked in a recovery: %s", got)
	}
}
