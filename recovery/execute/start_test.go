package execute_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/verify"
)

// server answers every request with what is in the file $ANSWER, the status first.
const server = `exec perl -MIO::Socket::INET -e '
	my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8080", Listen => 5, ReuseAddr => 1) or die "no socket: $!";
	$SIG{TERM} = sub { print "ending in order\n"; exit 0 };
	$| = 1; print "listening on $ENV{APP_URL}\n";
	while (my $c = $l->accept) { while (defined(my $h = <$c>)) { last if $h =~ /^\r?\n/ } print $c "HTTP/1.0 $ENV{ANSWER}"; close $c }'
`

// marks are in the environment of each application, to find what is left of it.
var marks atomic.Int64

// processes are those of the applications that a run starts.
func (r *rig) processes(t *testing.T) (found []string) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Plan.Steps {
		var args recovery.StartArgs
		if s.Kind != recovery.KindStart {
			continue
		}
		if err := s.Decode(&args); err != nil {
			t.Fatal(err)
		}
		for _, path := range environs {
			if b, err := os.ReadFile(path); err == nil && slices.Contains(strings.Split(string(b), "\x00"), "MARK="+args.Set["MARK"]) {
				found = append(found, path)
			}
		}
	}
	return found
}

func startStep(script string, change func(*recovery.StartArgs)) recovery.Step {
	args := recovery.StartArgs{URL: "http://127.0.0.1:8080", Ready: "/health"}
	args.Name, args.Script = "the shop", script
	args.Set = map[string]string{"APP_URL": args.URL, "ANSWER": "200 OK\r\n\r\nall is well", "MARK": fmt.Sprintf("%d-%d", os.Getpid(), marks.Add(1))}
	if change != nil {
		change(&args)
	}
	return recovery.NewStep("start", recovery.KindStart, "start: the shop", args)
}

func askStep(after ...string) recovery.Step {
	s := recovery.NewStep("ask", recovery.KindHTTPCheck, "check: it answers", recovery.HTTPCheckArgs{Name: "it answers",
		URL: "http://127.0.0.1:8080/health", Application: "the shop", Status: 200, Body: "all is well"})
	s.After, s.MayPass = append([]string{"start"}, after...), true
	return s
}

// tryStep is a script that asks, and tries to get elsewhere.
func tryStep(elsewhere string) recovery.Step {
	s := shellStep(`get() { perl -MIO::Socket::INET -e 'my $c = IO::Socket::INET->new($ARGV[0]) or exit 1; print $c "GET / HTTP/1.0\r\n\r\n"; print <$c>; print "\n"' "$1"; }
get 127.0.0.1:8080 | grep 'all is well'
if get "$ELSEWHERE"; then echo out; exit 1; fi
if get 127.0.0.1:8081; then echo out; exit 1; fi
`, func(a *recovery.ShellArgs) { a.Set = map[string]string{"ELSEWHERE": elsewhere} })
	s.After = []string{"start"}
	return s
}

func stopStep(after ...string) recovery.Step {
	s := recovery.NewStep("stop", recovery.KindStop, "stop: the shop", recovery.StopArgs{Name: "the shop", Start: "start"})
	s.After = append([]string{"ask"}, after...)
	return s
}

// none fails if anything of an application is left: its claim, its file, a process.
func (r *rig) none(t *testing.T, s recovery.State) {
	t.Helper()
	if held := s.Held(); len(held) > 0 {
		t.Errorf("still held: %v", held)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "started-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if found := r.processes(t); len(found) > 0 {
		t.Errorf("still there: %v", found)
	}
}

// A script reaches the application at its own address, and nothing of the host, also
// not what listens at an address of the application's.
func TestStart_tried(t *testing.T) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	r := newRig(t, []recovery.Kind{verify.HTTPCheck{}}, unattended, startStep(server, nil), askStep(), tryStep(host.Addr().String()), stopStep("s"))
	s := r.run(t)
	if s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if got := r.log(t, s); !slices.Contains(got, "all is well") || slices.Contains(got, "out") {
		t.Errorf("it said %q", got)
	}
	r.none(t, s)
}

// An application runs from its start to its stop, is asked in between through its
// box, and leaves nothing; what it wrote is kept. Whatever goes wrong with it makes
// the run red, and still leaves nothing.
func TestStart(t *testing.T) {
	for _, c := range []struct {
		name   string
		script string
		change func(*recovery.StartArgs)
		want   recovery.Result
		says   string
		wrote  string
	}{
		{name: "answers", script: server, want: recovery.ResultPassed, says: "1 of 1 checks held", wrote: "ending in order"},
		{name: "ready by a line", script: server, change: func(a *recovery.StartArgs) { a.Ready = "listening on" }, want: recovery.ResultPassed, wrote: "listening on http://127.0.0.1:8080"},
		{name: "answers something else", script: server, change: func(a *recovery.StartArgs) { a.Set["ANSWER"] = "200 OK\r\n\r\nall is lost" },
			want: recovery.ResultFailed, says: `found status 200, "all is lost"`, wrote: "ending in order"},
		{name: "answers with another status", script: server, change: func(a *recovery.StartArgs) {
			a.Set["ANSWER"] = "301 Away\r\nLocation: http://127.0.0.1:8080/\r\n\r\nall is well"
		},
			want: recovery.ResultFailed, says: "found status 301"},
		{name: "is never ready", script: server, change: func(a *recovery.StartArgs) { a.Set["ANSWER"] = "503 Wait\r\n\r\n"; a.Timeout = 1 << 28 },
			want: recovery.ResultFailed, says: "it was not ready within"},
		{name: "ends before it is ready", script: "echo no configuration >&2; exit 3\n", want: recovery.ResultFailed, says: "it ended before it was ready: exit status 3: no configuration"},
		{name: "writes no such line", script: "sleep 600\n", change: func(a *recovery.StartArgs) { a.Ready, a.Timeout = "ready", 1<<28 }, want: recovery.ResultFailed, says: `it has not written "ready"`},
		// It is met while it ends, or gone: either way nobody answers.
		{name: "ends while it is checked", script: "echo ready; exit 0\n", change: func(a *recovery.StartArgs) { a.Ready = "ready" }, want: recovery.ResultFailed, says: "ask http://127.0.0.1:8080/health: "},
		{name: "does not want to end", script: "trap '' TERM\n(trap '' TERM; sleep 600) &\n" + strings.TrimPrefix(strings.ReplaceAll(server, `exit 0`, `0`), "exec "), want: recovery.ResultPassed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, []recovery.Kind{verify.HTTPCheck{}}, unattended, startStep(c.script, c.change), askStep(), stopStep())
			s := r.run(t)
			if s.Result != c.want || !strings.Contains(s.Says, c.says) {
				t.Errorf("ended as %s: %s", s.Result, s.Says)
			}
			r.none(t, s)
			if c.wrote == "" {
				return
			}
			b, err := os.ReadFile(filepath.Join(r.dir, "artifacts", "start.output.log"))
			if err != nil || !strings.Contains(string(b), c.wrote) {
				t.Errorf("it wrote %q, %v", b, err)
			}
			if c.want == recovery.ResultPassed && len(s.Step("stop").Outcome.Artifacts) == 0 {
				t.Error("no event tells of what it wrote")
			}
		})
	}
}

// Where a runner died the application died with it: the run that is taken up starts
// it again, and makes the checks anew that came after.
func TestStart_resumed(t *testing.T) {
	asked := 0
	count := kind{recovery.KindHTTPCheck, func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		asked++
		return verify.HTTPCheck{}.Do(ctx, e, s)
	}}
	var dir string
	r := newRig(t, []recovery.Kind{count}, func(p *recovery.Plan, o *execute.Options) {
		unattended(p, o)
		dir = o.Dir
		lock := filepath.Join(dir, "started-start")
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, e := range []recovery.Payload{recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal},
			recovery.StepStarted{Step: "start", Attempt: 1},
			recovery.ClaimMade{Step: "start", Resource: recovery.Resource{Kind: recovery.Application, ID: lock, Details: map[string]string{"name": "the shop"}}},
			recovery.StepFinished{Step: "start", Outcome: recovery.Outcome{Says: "the shop has started"}},
			recovery.StepStarted{Step: "ask", Attempt: 1},
			recovery.StepFinished{Step: "ask", Outcome: recovery.Outcome{Check: &recovery.CheckResult{Name: "it answers", Held: true}}},
			recovery.RunResumed{Reason: "its runner had died"}} {
			event, err := recovery.NewEvent(o.Now(), e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Journal.Append(event); err != nil {
				t.Fatal(err)
			}
		}
	}, startStep(server, nil), askStep(), stopStep())
	s := r.run(t)
	if s.Result != recovery.ResultPassed || asked != 1 || s.Step("start").Attempts != 2 {
		t.Errorf("ended as %s: %s, asked %d times, started %d times", s.Result, s.Says, asked, s.Step("start").Attempts)
	}
	r.none(t, s)
}

// A run that leaves what it restored in place leaves no application, which would go on
// writing to what is signed; and where it is stopped it leaves nothing.
func TestStart_kept(t *testing.T) {
	for name, stops := range map[string]bool{"ends well": false, "is stopped while it waits": true} {
		t.Run(name, func(t *testing.T) {
			claims := kind{"claims", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
				return recovery.Outcome{}, e.Claim(ctx, thing("a"))
			}}
			waits := ticks("one")
			waits.After = []string{"start", "claims"}
			r := newRig(t, []recovery.Kind{claims}, func(p *recovery.Plan, o *execute.Options) {
				p.Keep, o.Unattended, o.Releasers = true, !stops, []recovery.Releaser{&things{}}
			}, startStep(server, nil), step("claims", "claims"), waits)
			if stops {
				go func() {
					<-r.waiting
					if err := r.Do(recovery.Command{Kind: recovery.DoStop, By: "ops1", Text: "enough"}); err != nil {
						t.Error(err)
					}
				}()
			}
			s := r.run(t)
			if held := s.Held(); stops && len(held) > 0 || !stops && (len(held) != 1 || held[0].Kind != "thing" || !held[0].OnPurpose) {
				t.Errorf("ended as %s: %s, held %v", s.Result, s.Says, held)
			}
			s.Claims = nil
			r.none(t, s)
		})
	}
}

// A run that is stopped while its application runs ends it.
func TestStart_stopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var r *rig
	wait := kind{recovery.KindHTTPCheck, func(ctx context.Context, _ recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		if len(r.processes(t)) == 0 {
			t.Error("the application has no process")
		}
		stop()
		<-ctx.Done()
		return recovery.Outcome{}, ctx.Err()
	}}
	r = newRig(t, []recovery.Kind{wait}, unattended, startStep(server, nil), askStep(), stopStep())
	s, err := r.Run(ctx)
	if err != nil || s.Result != recovery.ResultInterrupted {
		t.Errorf("ended as %s: %s, %v", s.Result, s.Says, err)
	}
	r.none(t, s)
	b, err := os.ReadFile(filepath.Join(r.dir, "artifacts", "start.output.log"))
	if err != nil || !strings.Contains(string(b), "ending in order") {
		t.Errorf("it wrote %q, %v", b, err)
	}
}
