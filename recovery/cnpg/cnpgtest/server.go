// Package cnpgtest is a local Kubernetes with CloudNativePG, for tests: an API server that
// speaks the wire format of the resources that the engine asks for, over TLS, to whoever has
// its token, so that the real kubectl asks it; and an operator behind it that restores what a
// new Cluster says on real PostgreSQL servers. Its port-forward is the protocol of the API.
// Time passes when it is asked: each look at a cluster that comes up brings it one state
// further.
package cnpgtest

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest/hosted"
)

// Where the source is.
const (
	Context   = "production"
	Namespace = "shop"
	Source    = "shop-db"
	Backup    = "shop-db-nightly"
	// Token is what whoever asks signs in by.
	Token = "a-token-of-tests"
)

// Server is the API server and the operator behind it.
type Server struct {
	*hosted.Source
	// Kubeconfig is the file that leads to it.
	Kubeconfig string

	http   *httptest.Server
	mu     sync.Mutex
	made   map[string]*made
	source map[string]any // nil where it is gone
	status map[string]any
	since  time.Time // when the source was made
	faults []*fault
	calls  []string
	uids   int
	// volumes are those that were claimed, by their names; retains says that they stay when
	// nobody claims them any more.
	volumes map[string]*claimedVolume
	retains bool
}

// claimedVolume is a PersistentVolume.
type claimedVolume struct {
	// of is what claims it, or did.
	of       string
	released bool
	// looks are how often it is still there once it is released, where none are retained.
	looks int
}

// made is a Cluster that somebody has created.
type made struct {
	manifest map[string]any
	uid      string
	// state is how far it has come; failed says what its recovery failed of.
	state  int
	failed []map[string]any
	// holds is why it does not go on: "image", "volume", "quota" or "node"; or that its
	// restore takes long, though its quota was "raised" or its first pod "evicted". It
	// does so for looks, where they are not 0.
	holds string
	looks int
	data  string
	port  int
	// volumes stay for some looks after it is deleted.
	volumes int
	gone    bool
}

// fault is one to come.
type fault struct {
	// call is a verb and a resource, "create clusters".
	call    string
	times   int
	code    int
	reason  string
	message string
	// cut says that the connection is cut, after what was asked for is done where lost.
	cut, lost bool
}

// Start makes the source and starts the server. Close removes it, also where it fails.
func Start(ctx context.Context) (*Server, error) {
	s := &Server{Source: &hosted.Source{Admin: "operator"}, made: map[string]*made{}, volumes: map[string]*claimedVolume{}}
	if err := s.Make(ctx); err != nil {
		return s, err
	}
	s.source, s.status, s.since = s.sourceSpec(), s.sourceStatus(), s.Snapshot.AddDate(-2, 0, 0)
	s.http = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = nil
	s.Kubeconfig = s.Path("kubeconfig")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	b, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Config", "current-context": "another",
		"clusters": []any{map[string]any{"name": "k", "cluster": map[string]any{"server": s.http.URL, "certificate-authority-data": ca}}},
		"users":    []any{map[string]any{"name": "ops", "user": map[string]any{"token": Token}}, map[string]any{"name": "nobody", "user": map[string]any{"token": "wrong"}}},
		"contexts": []any{map[string]any{"name": Context, "context": map[string]any{"cluster": "k", "user": "ops"}}, map[string]any{"name": "signed-out", "context": map[string]any{"cluster": "k", "user": "nobody"}}}})
	if err != nil {
		return s, err
	}
	return s, os.WriteFile(s.Kubeconfig, b, 0o600)
}

// Close ends everything and removes it.
func (s *Server) Close() error {
	if s.http != nil {
		s.http.CloseClientConnections()
		s.http.Close()
	}
	return s.Remove()
}

// Fail answers calls like "create clusters" with a reason of the API, so many times.
func (s *Server) Fail(call string, times, code int, reason, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{call: call, times: times, code: code, reason: reason, message: message})
}

// Lose does what a call asks for and cuts the connection, so many times; Cut does nothing
// before.
func (s *Server) Lose(call string, times int) { s.cut(call, times, true) }

// Cut cuts the connection of a call, so many times.
func (s *Server) Cut(call string, times int) { s.cut(call, times, false) }

func (s *Server) cut(call string, times int, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault{call: call, times: times, cut: true, lost: lost})
}

// Fine forgets the faults that have not come yet.
func (s *Server) Fine() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Hold keeps a cluster from coming up: "image", "volume", "quota" or "node"; "" lets it go on.
func (s *Server) Hold(name, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.made[name]; m != nil {
		m.holds = why
		if why != "" { // it has begun
			m.state = max(m.state, settingUp)
		}
	}
}

// HoldFor is Hold for so many looks.
func (s *Server) HoldFor(name, why string, looks int) {
	s.Hold(name, why)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[name].looks = looks
}

// Calls are what was created and deleted since the last time.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.calls
	s.calls = nil
	return all
}

// Manifest is what a cluster was created with.
func (s *Server) Manifest(name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.made[name]; m != nil {
		return m.manifest
	}
	return nil
}

// Left are the clusters beside the source, and those of which volumes are left.
func (s *Server) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name := range s.made {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Retain lets volumes stay when nobody claims them any more, or not.
func (s *Server) Retain(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retains = on
}

// Volumes are those that are there, claimed or not; Reclaim removes those that nobody claims.
func (s *Server) Volumes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.volumes))
}

func (s *Server) Reclaim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.volumes, func(_ string, v *claimedVolume) bool { return v.released })
}

// volume gives a PersistentVolume; each look at one that was released brings its end nearer.
func (s *Server) volume(name string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.volumes[name]
	if v != nil && v.released && !s.retains {
		if v.looks--; v.looks < 0 {
			delete(s.volumes, name)
			v = nil
		}
	}
	if v == nil {
		return nil, refuse(404, "NotFound", "persistentvolumes %q not found", name)
	}
	return s.volumeOf(name, v), nil
}

// allVolumes lists them.
func (s *Server) allVolumes() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.volumes)) {
		all = append(all, s.volumeOf(name, s.volumes[name]))
	}
	return map[string]any{"kind": "PersistentVolumeList", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": all}
}

func (s *Server) volumeOf(name string, v *claimedVolume) map[string]any {
	policy, phase := "Delete", "Bound"
	if s.retains {
		policy = "Retain"
	}
	if v.released {
		phase = "Released"
	}
	return map[string]any{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name}, "status": map[string]any{"phase": phase},
		"spec": map[string]any{"persistentVolumeReclaimPolicy": policy, "claimRef": map[string]any{"kind": "PersistentVolumeClaim", "namespace": Namespace, "name": v.of}}}
}

// Release lets a volume be there that a claim had, which is gone.
func (s *Server) Release(name, claim string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[name] = &claimedVolume{of: claim, released: true}
}

// Foreign makes a cluster that somebody else has made.
func (s *Server) Foreign(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes["pv-uid-foreign"] = &claimedVolume{of: name + "-1", looks: 2}
	s.made[name] = &made{uid: "uid-foreign", state: healthyState, port: s.Port, manifest: map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"instances": 1.0}}}
}

// Remark gives a cluster another annotation.
func (s *Server) Remark(name, key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part(s.made[name].manifest, "metadata", "annotations")[key] = value
}

// Discard removes a cluster at once, whoever has made it.
func (s *Server) Discard(name string) error {
	s.mu.Lock()
	m := s.made[name]
	delete(s.made, name)
	if m != nil {
		delete(s.volumes, "pv-"+m.uid)
	}
	s.mu.Unlock()
	return s.erase(m)
}

func (s *Server) erase(m *made) error {
	if m == nil || m.data == "" {
		return nil
	}
	return errors.Join(s.Stop(m.data), os.RemoveAll(m.data))
}

// Connect opens two sessions of applications on a cluster, of its role and of postgres, and
// one of postgres by the socket, as the operator has it; goHome ends them and returns when
// nobody is connected any more.
func (s *Server) Connect(ctx context.Context, name string) (goHome func() error, err error) {
	s.mu.Lock()
	m := s.made[name]
	s.mu.Unlock()
	if m == nil {
		return nil, fmt.Errorf("there is no cluster %s", name)
	}
	var all []*pgx.Conn
	goHome = func() error {
		var errs []error
		for _, conn := range all {
			errs = append(errs, conn.Close(ctx))
		}
		return errors.Join(append(errs, s.Quiet(ctx, m.port))...)
	}
	for _, who := range []string{"host=127.0.0.1 sslmode=require user=" + hosted.Role, "host=127.0.0.1 sslmode=require user=postgres", "user=postgres host=" + s.Path("socket")} {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("%s port=%d password=%s dbname=%s", who, m.port, hosted.Password, hosted.Database))
		if err != nil {
			return nil, errors.Join(err, goHome())
		}
		all = append(all, conn)
	}
	return goHome, nil
}

// Remake says that the source was made anew at a time, with other data, until restore is
// called.
func (s *Server) Remake(at time.Time) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, status := s.since, s.status
	s.since, s.status = at, clone(status)
	s.status["systemID"], s.status["firstRecoverabilityPoint"] = "1", stamp(at)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.since, s.status = since, status
	}
}

// Change changes the source until restore is called: its spec and its status, either of which
// is nil where the source is gone.
func (s *Server) Change(change func(spec, status map[string]any) (map[string]any, map[string]any)) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, status := s.source, s.status
	s.source, s.status = change(clone(spec), clone(status))
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.source, s.status = spec, status
	}
}

// Spec is the source's, as people have applied it.
func (s *Server) Spec() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.source)
}

func clone(m map[string]any) map[string]any {
	b, err := json.Marshal(m)
	var c map[string]any
	if err = errors.Join(err, json.Unmarshal(b, &c)); err != nil {
		panic(err) // plain data
	}
	return c
}

// part is a part of a manifest, made where it is missing.
func part(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		next, _ := m[key].(map[string]any)
		if next == nil {
			next = map[string]any{}
			m[key] = next
		}
		m = next
	}
	return m
}

// refusal is an answer that is not what was asked for.
type refusal struct {
	code            int
	reason, message string
}

func (r refusal) Error() string { return r.message }

func refuse(code int, reason, format string, args ...any) error {
	return refusal{code, reason, fmt.Sprintf(format, args...)}
}

// takes gives the fault that a call runs into, or nil.
func (s *Server) takes(call string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.call == call && f.times > 0 {
			f.times--
			return f
		}
	}
	return nil
}

// verbs are those of RBAC, by method; a get of many is a list.
var verbs = map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodDelete: "delete"}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Token {
		answer(w, nil, refuse(401, "Unauthorized", "Unauthorized"))
		return
	}
	if d, is := discovery[r.URL.Path]; is {
		answer(w, d, nil)
		return
	}
	namespace, resource, name, sub := split(r.URL.Path)
	if global, isVolume := strings.CutPrefix(r.URL.Path, "/api/v1/persistentvolumes"); isVolume { // they are in no namespace
		namespace, resource, name = Namespace, "persistentvolumes", strings.TrimPrefix(global, "/")
	}
	verb := verbs[r.Method]
	if verb == "get" && name == "" {
		verb = "list"
	}
	call := strings.TrimSuffix(verb+" "+resource+"/"+sub, "/")
	f := s.takes(call)
	switch {
	case f != nil && f.cut && !f.lost:
		panic(http.ErrAbortHandler)
	case f != nil && !f.cut:
		answer(w, nil, refusal{f.code, f.reason, f.message})
		return
	case resource == "" || namespace != Namespace:
		answer(w, nil, refuse(404, "NotFound", "the server could not find the requested resource"))
		return
	case sub == "portforward":
		s.portForward(w, r, name)
		return
	}
	out, err := s.act(r, verb, resource, name, sub)
	if f != nil && f.lost {
		panic(http.ErrAbortHandler)
	}
	answer(w, out, err)
}

// split takes a path apart: .../namespaces/NAMESPACE/RESOURCE/NAME/SUB.
func split(path string) (namespace, resource, name, sub string) {
	_, rest, _ := strings.Cut(path, "/namespaces/")
	all := append(strings.Split(rest, "/"), "", "", "", "")
	return all[0], all[1], all[2], all[3]
}

func answer(w http.ResponseWriter, out any, err error) {
	code := http.StatusOK
	if err != nil {
		var r refusal
		if !errors.As(err, &r) {
			r = refusal{500, "InternalError", err.Error()}
		}
		code = r.code
		out = map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "message": r.message, "reason": r.reason, "code": r.code}
	}
	if text, is := out.(string); is {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(text)) // the client may have gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(out) // the client may have gone
}

// act does what a request asks for.
func (s *Server) act(r *http.Request, verb, resource, name, sub string) (any, error) {
	switch verb + " " + resource {
	case "get clusters":
		return s.look(r.Context(), name)
	case "create clusters":
		return s.create(r)
	case "delete clusters":
		return s.drop(r, name)
	case "list backups":
		return paged(r, s.backups())
	case "list scheduledbackups":
		return paged(r, []any{map[string]any{"metadata": map[string]any{"name": "nightly"}, "spec": map[string]any{"cluster": map[string]any{"name": Source}, "schedule": "0 0 2 * * *"}}})
	case "get persistentvolumes":
		return s.volume(name)
	case "list persistentvolumes":
		return s.allVolumes(), nil
	case "get secrets":
		return s.secret(name)
	case "get services":
		return s.service(name)
	case "list pods", "list jobs", "list persistentvolumeclaims", "list events":
		return paged(r, s.children(resource, r.URL.Query().Get("labelSelector")))
	case "get pods":
		if sub == "log" {
			return s.log(name)
		}
		for _, p := range s.children("pods", "") {
			if part(p.(map[string]any), "metadata")["name"] == name {
				return p, nil
			}
		}
	}
	return nil, refuse(404, "NotFound", "%s %q not found", resource, name)
}

// paged gives two of a list at once.
func paged(r *http.Request, all []any) (any, error) {
	const most = 2
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	meta := map[string]any{"resourceVersion": "1"}
	end := min(from+most, len(all))
	if end < len(all) && r.URL.Query().Get("limit") != "" {
		meta["continue"] = strconv.Itoa(end)
	} else {
		end = len(all)
	}
	_, resource, _, _ := split(r.URL.Path)
	return map[string]any{"kind": kinds[resource], "apiVersion": apiVersion(r.URL.Path), "metadata": meta, "items": append([]any{}, all[min(from, end):end]...)}, nil
}

// kinds are those of lists.
var kinds = map[string]string{"pods": "PodList", "jobs": "JobList", "persistentvolumeclaims": "PersistentVolumeClaimList", "events": "EventList", "backups": "BackupList", "scheduledbackups": "ScheduledBackupList"}

// apiVersion is that of a path.
func apiVersion(path string) string {
	path, _, _ = strings.Cut(path, "/namespaces/")
	return strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
}

// discovery is what the API server says of itself, by path.
var discovery = map[string]any{
	"/version": map[string]any{"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
	"/api":     map[string]any{"kind": "APIVersions", "versions": []any{"v1"}},
	"/apis": map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{
		map[string]any{"name": "postgresql.cnpg.io", "versions": []any{map[string]any{"groupVersion": "postgresql.cnpg.io/v1", "version": "v1"}}, "preferredVersion": map[string]any{"groupVersion": "postgresql.cnpg.io/v1", "version": "v1"}}}},
	"/api/v1": map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
		map[string]any{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []any{"get", "list"}},
		map[string]any{"name": "services", "singularName": "service", "namespaced": true, "kind": "Service", "verbs": []any{"get", "list"}}}},
	"/apis/postgresql.cnpg.io/v1": map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "postgresql.cnpg.io/v1", "resources": []any{
		map[string]any{"name": "clusters", "singularName": "cluster", "namespaced": true, "kind": "Cluster", "verbs": []any{"get", "list", "create", "delete"}}}},
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// dataDir is where a cluster's data are.
func (s *Server) dataDir(uid string) string { return filepath.Join(s.Path("made"), uid) }
