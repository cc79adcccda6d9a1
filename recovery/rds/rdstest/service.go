// Package rdstest is a local service that speaks the protocol of Amazon RDS, for tests:
// the Query protocol's requests, signed, and its XML answers, pages and errors, the
// states on the way and their events. Behind it is a real PostgreSQL server, with base
// backups and an archive, so that a restore to a second brings back what was there then.
// Time passes when it is asked: each look at what is being made brings it one state
// further.
package rdstest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"comeback/enginetest/hosted"
)

// What the tests' credentials are, and where the service is.
const (
	KeyID  = "AKIATESTRDS"
	Secret = "a-secret-of-tests"
	Region = "eu-central-1"
)

// Environ are the credentials as environment variables.
func Environ() map[string]string {
	return map[string]string{"AWS_ACCESS_KEY_ID": KeyID, "AWS_SECRET_ACCESS_KEY": Secret, "AWS_EC2_METADATA_DISABLED": "true"}
}

// The sources that the service knows: an instance, with a snapshot that was taken by hand, and a
// cluster of Aurora with the same data.
const (
	SourceInstance  = "shop-prod"
	SourceCluster   = "shop-aurora"
	SourceReader    = "shop-aurora-0"
	Snapshot        = "shop-before-release"
	ClusterSnapshot = "aurora-before-release"
	// Upgraded is a snapshot of the instance from before it got its major version.
	Upgraded = "preupgrade-shop-prod"
)

// Service is the service.
type Service struct {
	*hosted.Source
	URL string

	http   *httptest.Server
	mu     sync.Mutex
	things map[string]*thing // by kind and id
	faults []*planned
	calls  []string
	made   int
	events []event
	kept   []string
	late   *late
	// remembered is for how many looks a name will still lead to the source.
	remembered int
	// upgraded says that the instance got its major version lately.
	upgraded bool
	// Page is how many of a list the service gives at once.
	Page int
}

// thing is an instance or a cluster.
type thing struct {
	kind, id, resource string
	ask                values
	// states are those that are still to come, the first is the one now.
	states    []string
	tags      map[string]string
	data      string
	port      int
	storage   int // 0 is that of the smallest
	cluster   string
	protected bool
	source    bool
	// stale is how often it is still told where the source answers.
	stale int
	// reader says that it does not write.
	reader bool
	// replicas follow it; global is the global database that it is of.
	replicas []string
	global   string
	to       time.Time
}

type event struct {
	kind, id, message string
	at                time.Time
}

// planned is a fault to come.
type planned struct {
	action string
	// after are how many come to pass before it.
	after, times int
	fault        Fault
	// lost says that the action comes to pass and its answer does not come through.
	lost bool
	// late says that neither comes to pass until it is looked for.
	late bool
	// hold is closed by who has been told with arrived that a request is there.
	arrived chan<- struct{}
	hold    <-chan struct{}
}

// Start makes the source and starts the service. Close removes it, also where it fails.
func Start(ctx context.Context) (*Service, error) {
	s := &Service{Source: &hosted.Source{Admin: "rdsadmin"}, things: map[string]*thing{}, Page: 2}
	if err := s.Make(ctx); err != nil {
		return s, err
	}
	s.things["instance "+SourceInstance] = &thing{kind: "instance", id: SourceInstance, resource: "db-SHOPPROD", states: []string{"available"}, port: s.Port, source: true, protected: true,
		tags: map[string]string{"team": "shop", "aws:cloudformation:stack": "x"}, ask: values{"DBInstanceClass": {"db.t4g.large"}, "StorageType": {"gp3"}, "MultiAZ": {"true"}}}
	s.things["cluster "+SourceCluster] = &thing{kind: "cluster", id: SourceCluster, resource: "cluster-SHOPAURORA", states: []string{"available"}, port: s.Port, source: true,
		tags: map[string]string{"team": "shop"}, ask: values{"Engine": {"aurora-postgresql"}}}
	s.things["instance "+SourceCluster+"-1"] = &thing{kind: "instance", id: SourceCluster + "-1", resource: "db-SHOPAURORA1", states: []string{"available"}, port: s.Port, source: true, cluster: SourceCluster,
		tags: map[string]string{}, ask: values{"Engine": {"aurora-postgresql"}, "DBInstanceClass": {"db.r6g.large"}}}
	s.things["instance "+SourceReader] = &thing{kind: "instance", id: SourceReader, resource: "db-SHOPAURORA0", states: []string{"available"}, port: s.Port, source: true, cluster: SourceCluster, reader: true,
		tags: map[string]string{}, ask: values{"Engine": {"aurora-postgresql"}, "DBInstanceClass": {"db.r6g.xlarge"}}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL
	return s, nil
}

// Close ends everything and removes it.
func (s *Service) Close() error {
	if s.http != nil {
		s.http.CloseClientConnections()
		s.http.Close()
	}
	return s.Remove()
}

// Fail answers an action with a fault, so many times.
func (s *Service) Fail(action string, times int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &planned{action: action, times: times, fault: f})
}

// FailAfter answers an action with a fault when it has come to pass so many times.
func (s *Service) FailAfter(action string, times int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &planned{action: action, after: times, times: 1, fault: f})
}

// Resource is the id of what has a name, "instance shop-prod", or "".
func (s *Service) Resource(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.things[name]; t != nil {
		return t.resource
	}
	return ""
}

// Lose lets an action come to pass and resets the connection instead of answering, so
// many times.
func (s *Service) Lose(action string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &planned{action: action, times: times, lost: true})
}

// late is what was asked for and is not made yet.
type late struct {
	action string
	ask    values
	// looks is how often it is still not there.
	looks int
}

// Delay resets the connections of an action, so many times; what it asked for last is made
// when it has been looked for in vain, twice.
func (s *Service) Delay(action string, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &planned{action: action, times: times, late: true})
}

// Kept are the last snapshots, each with what was deleted and whether its automated backups
// went with it.
func (s *Service) Kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept)
}

// Fine forgets the faults that have not come yet.
func (s *Service) Fine() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Foreign makes an instance that somebody else has made; Discard removes it.
func (s *Service) Foreign(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things["instance "+id] = &thing{kind: "instance", id: id, resource: "db-FOREIGN", states: []string{"available"}, port: s.Port, tags: map[string]string{}, ask: values{}}
}

// Discard removes an instance at once, whoever has made it.
func (s *Service) Discard(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	delete(s.things, name)
	if t == nil || t.data == "" {
		return nil
	}
	return errors.Join(s.Stop(t.data), os.RemoveAll(t.data))
}

// Hold keeps the next request of an action waiting until go on is called; arrived tells
// that it is there.
func (s *Service) Hold(action string) (arrived <-chan struct{}, goOn func()) {
	a, h := make(chan struct{}, 1), make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &planned{action: action, times: 1, arrived: a, hold: h})
	return a, sync.OnceFunc(func() { close(h) })
}

// Calls are the actions that were asked for since the last time, without looks, each
// with what it is about.
func (s *Service) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.calls
	s.calls = nil
	return all
}

// Asked is what something was made with, as it was asked for: "instance comeback-run-part".
func (s *Service) Asked(name string) url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	if t == nil {
		return nil
	}
	return url.Values(maps.Clone(t.ask))
}

// Left are what is there beside the sources.
func (s *Service) Left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name, t := range s.things {
		if !t.source {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// Retag gives an instance or a cluster, "instance shop-prod", another tag.
func (s *Service) Retag(name, key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[name].tags[key] = value
}

// State brings what is there into states, one after the other.
func (s *Service) State(name string, states ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[name].states = states
}

// Protect keeps something from being deleted, or lets it be.
func (s *Service) Protect(name string, protected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[name].protected = protected
}

// Stale lets the next renamed instance that gets a name be told, so many times, at the address
// of the source: as a name does that is remembered.
func (s *Service) Stale(looks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remembered = looks
}

// Scale makes a cluster one that grows and shrinks; "" makes it one that does not.
func (s *Service) Scale(name, low, high string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ask := s.things[name].ask
	ask["ServerlessV2ScalingConfiguration.MinCapacity"], ask["ServerlessV2ScalingConfiguration.MaxCapacity"] = []string{low}, []string{high}
}

// Upgrade gives the instance a snapshot from before it got its major version, or takes it away.
func (s *Service) Upgrade(lately bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgraded = lately
}

// before is the major version before the one of today.
func (s *Service) before() string { return strconv.Itoa(s.Tools.Major - 1) }

// Follow lets clusters follow another one, as read replicas of it and as a global database.
func (s *Service) Follow(name, global string, replicas ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	t.global, t.replicas = global, replicas
}

// Grow gives something more storage, in gibibytes.
func (s *Service) Grow(name string, storage int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.things[name].storage = storage
}

// Forget is the loss of a source: only its backups stay.
func (s *Service) Forget(name string) (bring func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	delete(s.things, name)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.things[name] = t
	}
}

// Remake drops a source and makes it again under its name: its backups are an earlier one's.
func (s *Service) Remake(name string) (bring func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.things[name]
	was := t.resource
	t.resource += "AGAIN"
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.resource = was
	}
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	s.made++
	request := fmt.Sprintf("00000000-0000-0000-0000-%012d", s.made)
	s.mu.Unlock()
	ask, err := url.ParseQuery(string(body))
	action := ask.Get("Action")
	switch {
	case err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		err = fault(400, "MalformedInput", "the request is no form")
	case ask.Get("Version") != "2014-10-31":
		err = fault(400, "NoSuchVersion", "The requested version (%s) is not valid", ask.Get("Version"))
	default:
		err = signed(r, body)
	}
	lost := false
	if err == nil {
		var p *planned
		if p = s.planned(action); p != nil {
			lost = p.lost
			if p.hold != nil {
				p.arrived <- struct{}{}
				select {
				case <-p.hold:
				case <-r.Context().Done():
				}
			} else if p.late {
				s.mu.Lock()
				s.late = &late{action: action, ask: values(ask), looks: 2}
				s.mu.Unlock()
				panic(http.ErrAbortHandler)
			} else if !lost {
				err = p.fault
			}
		}
	}
	var result []node
	if err == nil {
		result, err = s.act(r.Context(), action, values(ask))
	}
	if lost {
		panic(http.ErrAbortHandler)
	}
	if f, ok := errors.AsType[Fault](err); ok {
		f.write(w, request)
		return
	}
	if err != nil {
		// No answer of the service: what is behind it does not work.
		fault(400, "BrokenTestService", "%v", err).write(w, request)
		return
	}
	answer(w, action, request, result)
}

// planned is the fault of an action that is due.
func (s *Service) planned(action string) *planned {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.faults {
		if p.action == action {
			if p.after > 0 {
				p.after--
				return nil
			}
			if p.times--; p.times <= 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
			return p
		}
	}
	return nil
}

// signed holds the signature of a request to what it must be.
func signed(r *http.Request, body []byte) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return fault(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	when, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	_, rest, ok := strings.Cut(header, "SignedHeaders=")
	names, _, ok2 := strings.Cut(rest, ",")
	if err != nil || !ok || !ok2 {
		return fault(400, "IncompleteSignature", "the request's signature is incomplete")
	}
	again := &http.Request{Method: r.Method, URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path}, Host: r.Host, Header: http.Header{}, ContentLength: r.ContentLength}
	for name := range strings.SplitSeq(names, ";") {
		if v := r.Header.Values(name); len(v) > 0 && name != "x-amz-date" {
			again.Header[http.CanonicalHeaderKey(name)] = v
		}
	}
	sum := sha256.Sum256(body)
	err = signer.NewSigner().SignHTTP(r.Context(), aws.Credentials{AccessKeyID: KeyID, SecretAccessKey: Secret}, again, hex.EncodeToString(sum[:]), "rds", Region, when)
	if err != nil {
		return err
	}
	if again.Header.Get("Authorization") != header {
		return fault(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided")
	}
	return nil
}

// act does what is asked for.
func (s *Service) act(ctx context.Context, action string, ask values) ([]node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(action, "Describe") {
		about := ask.text("DBInstanceIdentifier") + ask.text("TargetDBInstanceIdentifier")
		if about == "" {
			about = ask.text("DBClusterIdentifier")
		}
		s.calls = append(s.calls, action+" "+about)
	}
	return s.do(ctx, action, ask)
}

func (s *Service) do(ctx context.Context, action string, ask values) ([]node, error) {
	switch action {
	case "DescribeDBInstances":
		return s.describe(ctx, "instance", "DBInstances", "DBInstanceNotFound", ask)
	case "DescribeDBClusters":
		return s.describe(ctx, "cluster", "DBClusters", "DBClusterNotFoundFault", ask)
	case "DescribeDBInstanceAutomatedBackups":
		return s.automated(ask)
	case "DescribeDBClusterAutomatedBackups":
		return s.automatedClusters(ask)
	case "DescribeDBSnapshots":
		return s.snapshots(ask)
	case "DescribeDBClusterSnapshots":
		return s.clusterSnapshots(ask)
	case "DescribeEvents":
		return s.tell(ask)
	case "RestoreDBInstanceToPointInTime":
		return s.restoreInstance(ask)
	case "RestoreDBInstanceFromDBSnapshot":
		switch id := ask.text("DBSnapshotIdentifier"); {
		case id == Upgraded && ask.text("DBParameterGroupName")+ask.text("OptionGroupName") != "default:postgres-"+s.before():
			return nil, fault(400, "InvalidParameterCombination", "The Parameter Group %s or the Option Group %s is not of the engine version of %s.", ask.text("DBParameterGroupName"), ask.text("OptionGroupName"), id)
		case id != Snapshot && id != Upgraded:
			return nil, fault(404, "DBSnapshotNotFound", "DBSnapshot %s not found.", id)
		}
		return s.create("instance", ask.text("DBInstanceIdentifier"), "", ask, time.Time{})
	case "RestoreDBClusterToPointInTime":
		return s.restoreCluster(ask)
	case "RestoreDBClusterFromSnapshot":
		if ask.text("SnapshotIdentifier") != ClusterSnapshot {
			return nil, fault(404, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot %s not found.", ask.text("SnapshotIdentifier"))
		}
		return s.create("cluster", ask.text("DBClusterIdentifier"), "", ask, time.Time{})
	case "CreateDBInstance":
		return s.member(ask)
	case "AddTagsToResource":
		return s.tag(ask)
	case "RemoveTagsFromResource":
		return s.untag(ask)
	case "ModifyDBInstance":
		return s.modify("instance", ask.text("DBInstanceIdentifier"), "NewDBInstanceIdentifier", ask)
	case "ModifyDBCluster":
		return s.modify("cluster", ask.text("DBClusterIdentifier"), "NewDBClusterIdentifier", ask)
	case "DeleteDBInstance":
		return s.delete("instance", ask.text("DBInstanceIdentifier"), ask)
	case "DeleteDBCluster":
		return s.delete("cluster", ask.text("DBClusterIdentifier"), ask)
	}
	return nil, fault(400, "InvalidAction", "Could not find operation %s for version 2014-10-31", action)
}

// within holds a moment to the window of a source.
func (s *Service) within(ask values, name string) (time.Time, error) {
	if ask.text("UseLatestRestorableTime") == "true" {
		return s.Latest.Add(-1), nil
	}
	to, err := ask.time(name)
	if err != nil {
		return to, err
	}
	if to.Before(s.Snapshot) || !to.Before(s.Latest) {
		return to, fault(400, "InvalidParameterValue", "The specified time %s is not within the restore window", to.Format(time.RFC3339))
	}
	return to, nil
}

func (s *Service) restoreInstance(ask values) ([]node, error) {
	of, resource := ask.text("SourceDBInstanceIdentifier"), ask.text("SourceDbiResourceId")
	if _, there := s.things["instance "+of]; !there && resource != "db-SHOPPROD" {
		return nil, fault(404, "DBInstanceNotFound", "DBInstance %s not found.", of)
	}
	to, err := s.within(ask, "RestoreTime")
	if err != nil {
		return nil, err
	}
	return s.create("instance", ask.text("TargetDBInstanceIdentifier"), "", ask, to)
}

func (s *Service) restoreCluster(ask values) ([]node, error) {
	of, resource := ask.text("SourceDBClusterIdentifier"), ask.text("SourceDbClusterResourceId")
	if _, there := s.things["cluster "+of]; !there && resource != "cluster-SHOPAURORA" {
		return nil, fault(404, "DBClusterNotFoundFault", "DBCluster %s not found.", of)
	}
	to, err := s.within(ask, "RestoreToTime")
	if err != nil {
		return nil, err
	}
	return s.create("cluster", ask.text("DBClusterIdentifier"), "", ask, to)
}

func (s *Service) member(ask values) ([]node, error) {
	cluster := ask.text("DBClusterIdentifier")
	c := s.things["cluster "+cluster]
	if c == nil {
		return nil, fault(404, "DBClusterNotFoundFault", "DBCluster %s not found.", cluster)
	}
	if c.states[0] != "available" {
		return nil, fault(400, "InvalidDBClusterStateFault", "Cluster %s is not available", cluster)
	}
	if ask.text("Engine") != "aurora-postgresql" {
		return nil, fault(400, "InvalidParameterCombination", "The engine name requested for your DB instance (%s) doesn't match the engine name of your DB cluster", ask.text("Engine"))
	}
	return s.create("instance", ask.text("DBInstanceIdentifier"), cluster, ask, time.Time{})
}

// create begins to make something.
func (s *Service) create(kind, id, cluster string, ask values, to time.Time) ([]node, error) {
	if _, is := s.things[kind+" "+id]; is {
		if kind == "cluster" {
			return nil, fault(400, "DBClusterAlreadyExistsFault", "DB Cluster already exists")
		}
		return nil, fault(400, "DBInstanceAlreadyExists", "DB instance already exists")
	}
	if id == "" || len(id) > 63 || strings.Contains(id, "--") || strings.HasSuffix(id, "-") {
		return nil, fault(400, "InvalidParameterValue", "Invalid database identifier: %s", id)
	}
	if source := s.things["instance "+SourceInstance]; kind == "instance" && cluster == "" && ask.text("Iops")+ask.text("StorageThroughput") != "" && (source == nil || source.storage < 400) {
		return nil, fault(400, "InvalidParameterCombination", "You can't specify IOPS or storage throughput for engine postgres and a storage size less than 400.")
	}
	s.made++
	t := &thing{kind: kind, id: id, resource: fmt.Sprintf("db-MADE%d", s.made), ask: ask, tags: ask.tags(), cluster: cluster, to: to, data: s.Path(fmt.Sprintf("made/%d", s.made)),
		states: []string{"creating", "creating", "backing-up", "available"}, protected: ask.text("DeletionProtection") == "true"}
	if kind == "cluster" {
		t.resource, t.states = fmt.Sprintf("cluster-MADE%d", s.made), []string{"creating", "creating", "available"}
		t.ask["Engine"] = []string{"aurora-postgresql"}
	}
	if cluster != "" {
		t.data = s.things["cluster "+cluster].data
	}
	s.things[kind+" "+id] = t
	s.happened(t, "Creating")
	if kind == "cluster" {
		return []node{s.clusterNode(t)}, nil
	}
	return []node{s.instanceNode(t)}, nil
}

func (s *Service) happened(t *thing, format string, args ...any) {
	s.events = append(s.events, event{t.kind, t.id, fmt.Sprintf("%s %s: ", t.kind, t.id) + fmt.Sprintf(format, args...), time.Now()})
}

// tag gives tags to what an ARN names, untag takes them.
func (s *Service) tag(ask values) ([]node, error) {
	t, err := s.named(ask)
	if err == nil {
		maps.Copy(t.tags, ask.tags())
	}
	return nil, err
}

func (s *Service) untag(ask values) ([]node, error) {
	t, err := s.named(ask)
	if err == nil {
		for _, key := range ask.each("TagKeys.member") {
			delete(t.tags, key)
		}
	}
	return nil, err
}

// named is what an ARN names.
func (s *Service) named(ask values) (*thing, error) {
	part := strings.Split(ask.text("ResourceName"), ":")
	kind := map[string]string{"db": "instance", "cluster": "cluster"}[part[max(0, len(part)-2)]]
	t := s.things[kind+" "+part[len(part)-1]]
	if t == nil {
		return nil, s.unknown(kind, part[len(part)-1])
	}
	return t, nil
}

// modify changes what can be changed, at once.
func (s *Service) modify(kind, id, rename string, ask values) ([]node, error) {
	t := s.things[kind+" "+id]
	if t == nil {
		return nil, s.unknown(kind, id)
	}
	if p := ask.text("DeletionProtection"); p != "" {
		t.protected = p == "true"
	}
	if name := ask.text(rename); name != "" {
		if _, is := s.things[kind+" "+name]; is {
			return nil, fault(400, "DBInstanceAlreadyExists", "DB instance already exists")
		}
		delete(s.things, kind+" "+id)
		t.id, t.states = name, []string{"renaming", "available"}
		if !t.source {
			t.stale, s.remembered = s.remembered, 0
		}
		s.things[kind+" "+name] = t
		for _, m := range s.things {
			if kind == "cluster" && m.cluster == id {
				m.cluster = name
			}
		}
	}
	if kind == "cluster" {
		return []node{s.clusterNode(t)}, nil
	}
	return []node{s.instanceNode(t)}, nil
}

func (s *Service) unknown(kind, id string) Fault {
	if kind == "cluster" {
		return fault(404, "DBClusterNotFoundFault", "DBCluster %s not found.", id)
	}
	return fault(404, "DBInstanceNotFound", "DBInstance %s not found.", id)
}

// delete begins to delete something.
func (s *Service) delete(kind, id string, ask values) ([]node, error) {
	t := s.things[kind+" "+id]
	switch {
	case t == nil:
		return nil, s.unknown(kind, id)
	case t.protected:
		return nil, fault(400, "InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again.")
	case ask.text("SkipFinalSnapshot") != "true" && ask.text("FinalDBSnapshotIdentifier") == "":
		return nil, fault(400, "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	case t.source:
		return nil, fault(400, "InvalidParameterValue", "the test has asked to delete a source")
	case kind == "instance" && t.states[0] == "creating":
		return nil, fault(400, "InvalidDBInstanceState", "Instance %s is not currently in a state that can be deleted.", id)
	case kind == "cluster" && slices.ContainsFunc(slices.Collect(maps.Values(s.things)), func(m *thing) bool { return m.cluster == id }):
		return nil, fault(400, "InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
	}
	t.states = []string{"deleting", "deleting", ""}
	s.happened(t, "Deleting")
	if last := ask.text("FinalDBSnapshotIdentifier"); last != "" {
		s.kept = append(s.kept, fmt.Sprintf("%s of %s, automated backups deleted: %s", last, id, ask.text("DeleteAutomatedBackups")))
	}
	if kind == "cluster" {
		return []node{s.clusterNode(t)}, nil
	}
	return []node{s.instanceNode(t)}, nil
}

// advance brings something one state further.
func (s *Service) advance(ctx context.Context, t *thing) error {
	if len(t.states) < 2 {
		return nil
	}
	t.states = t.states[1:]
	switch {
	case t.states[0] == "":
		delete(s.things, t.kind+" "+t.id)
		if t.cluster != "" {
			return s.Stop(t.data)
		}
		return errors.Join(s.Stop(t.data), os.RemoveAll(t.data))
	case t.states[0] != "available" || t.port != 0:
		return nil
	}
	if t.cluster == "" {
		if err := s.Restore(t.data, hosted.ToTime(t.to)); err != nil {
			return err
		}
		s.happened(t, "Restored to %s", t.to.UTC().Format(time.RFC3339))
	}
	if t.kind == "cluster" {
		return nil
	}
	port, err := s.Source.Serve(context.WithoutCancel(ctx), t.data)
	t.port = port
	if c := s.things["cluster "+t.cluster]; c != nil {
		c.port = port
	}
	s.happened(t, "DB instance restarted")
	return err
}

// catchUp makes what comes late, when it has been looked for often enough.
func (s *Service) catchUp(id string) (err error) {
	l := s.late
	if l == nil || l.ask.text("TargetDBInstanceIdentifier") != id && l.ask.text("DBInstanceIdentifier") != id {
		return nil
	}
	if l.looks--; l.looks < 0 {
		s.late = nil
		_, err = s.do(context.Background(), l.action, l.ask)
	}
	return err
}

// describe lists what is there; what is asked for by its name gets one state further.
func (s *Service) describe(ctx context.Context, kind, name, none string, ask values) ([]node, error) {
	id := ask.text(map[string]string{"instance": "DBInstanceIdentifier", "cluster": "DBClusterIdentifier"}[kind])
	var found []*thing
	if id != "" {
		if err := s.catchUp(id); err != nil {
			return nil, err
		}
		t := s.things[kind+" "+id]
		if t == nil {
			return nil, s.unknown(kind, id)
		}
		if err := s.advance(ctx, t); err != nil {
			return nil, err
		}
		if s.things[kind+" "+id] == nil {
			return nil, s.unknown(kind, id)
		}
		found = append(found, t)
	} else {
		for _, key := range slices.Sorted(maps.Keys(s.things)) {
			if t := s.things[key]; t.kind == kind {
				found = append(found, t)
			}
		}
	}
	var all []node
	for _, t := range found {
		if kind == "cluster" {
			all = append(all, s.clusterNode(t))
		} else {
			all = append(all, s.instanceNode(t))
		}
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree(name, part...)}, err
}

func port(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func tagNode(tags map[string]string) node {
	n := tree("TagList")
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		n.in = append(n.in, tree("Tag", leaf("Key", key), leaf("Value", tags[key])))
	}
	return n
}

// or is what was asked for, or what the service chooses.
func (v values) or(name, otherwise string) string {
	if text := v.text(name); text != "" {
		return text
	}
	return otherwise
}

func groups(ask values, otherwise string) node {
	ids := ask.each("VpcSecurityGroupIds.VpcSecurityGroupId")
	if len(ids) == 0 {
		ids = []string{otherwise}
	}
	n := tree("VpcSecurityGroups")
	for _, id := range ids {
		n.in = append(n.in, tree("VpcSecurityGroupMembership", leaf("VpcSecurityGroupId", id), leaf("Status", "active")))
	}
	return n
}

// instanceNode is an instance as the service tells it. What nobody asked for is the
// service's default, which is another than the source's.
func (s *Service) instanceNode(t *thing) node {
	parameters, subnets, group := "default.postgres15", "default", "sg-default"
	if t.source {
		parameters, subnets, group = "shop-pg15", "shop-subnets", "sg-shop"
	}
	n := tree("DBInstance", leaf("DBInstanceIdentifier", t.id), leaf("DbiResourceId", t.resource), leaf("DBInstanceStatus", t.states[0]), leaf("DBInstanceArn", "arn:aws:rds:"+Region+":210987654321:db:"+t.id),
		leaf("DBInstanceClass", t.ask.or("DBInstanceClass", "db.t4g.micro")), leaf("Engine", t.ask.or("Engine", "postgres")), leaf("EngineVersion", s.Tools.Version), leaf("MasterUsername", "postgres"), leaf("DBName", hosted.Database),
		number("AllocatedStorage", max(20, t.storage)), leaf("StorageType", t.ask.or("StorageType", "gp2")), truth("StorageEncrypted", true), leaf("KmsKeyId", "arn:aws:kms:"+Region+":210987654321:key/shop"),
		truth("MultiAZ", t.ask.text("MultiAZ") == "true"), truth("PubliclyAccessible", false), truth("DeletionProtection", t.protected), truth("AutoMinorVersionUpgrade", false), leaf("LicenseModel", "postgresql-license"),
		tree("DBParameterGroups", tree("DBParameterGroup", leaf("DBParameterGroupName", t.ask.or("DBParameterGroupName", parameters)), leaf("ParameterApplyStatus", "in-sync"))),
		tree("DBSubnetGroup", leaf("DBSubnetGroupName", t.ask.or("DBSubnetGroupName", subnets))), groups(t.ask, group), tagNode(t.tags))
	if t.source && t.cluster == "" {
		n.in = append(n.in, tree("OptionGroupMemberships", tree("OptionGroupMembership", leaf("OptionGroupName", "shop-options"), leaf("Status", "in-sync"))))
	}
	n = n.with("DBClusterIdentifier", t.cluster)
	if t.ask.text("StorageType") == "gp3" { // it tells what every volume of that size has
		iops, throughput := 3000, 125
		if t.storage >= 400 {
			iops, throughput = 12000, 500
		}
		n.in = append(n.in, number("Iops", iops), number("StorageThroughput", throughput))
	}
	if t.port != 0 {
		answers := t.port
		if t.stale > 0 && t.states[0] == "available" {
			answers, t.stale = s.Port, t.stale-1
		}
		n.in = append(n.in, tree("Endpoint", leaf("Address", "127.0.0.1"), number("Port", answers)))
	}
	if t.source && t.cluster == "" {
		n.in = append(n.in, at("LatestRestorableTime", s.Latest))
	}
	return n
}

// clusterNode is a cluster as the service tells it.
func (s *Service) clusterNode(t *thing) node {
	parameters, subnets, group := "default.aurora-postgresql15", "default", "sg-default"
	if t.source {
		parameters, subnets, group = "shop-aurora15", "shop-subnets", "sg-shop"
	}
	n := tree("DBCluster", leaf("DBClusterIdentifier", t.id), leaf("DbClusterResourceId", t.resource), leaf("Status", t.states[0]), leaf("DBClusterArn", "arn:aws:rds:"+Region+":210987654321:cluster:"+t.id),
		leaf("Engine", "aurora-postgresql"), leaf("EngineVersion", s.Tools.Version), leaf("MasterUsername", "postgres"), leaf("DatabaseName", hosted.Database), number("AllocatedStorage", 1),
		truth("StorageEncrypted", true), leaf("KmsKeyId", t.ask.or("KmsKeyId", "arn:aws:kms:"+Region+":210987654321:key/shop")), truth("DeletionProtection", t.protected),
		leaf("DBClusterParameterGroup", t.ask.or("DBClusterParameterGroupName", parameters)), leaf("DBSubnetGroup", t.ask.or("DBSubnetGroupName", subnets)), groups(t.ask, group), tagNode(t.tags),
		leaf("Endpoint", "127.0.0.1")).with("Port", port(t.port))
	if low, high := t.ask.text("ServerlessV2ScalingConfiguration.MinCapacity"), t.ask.text("ServerlessV2ScalingConfiguration.MaxCapacity"); high != "" {
		n.in = append(n.in, tree("ServerlessV2ScalingConfiguration", leaf("MinCapacity", low), leaf("MaxCapacity", high)))
	}
	if t.source {
		n.in = append(n.in, at("EarliestRestorableTime", s.Snapshot), at("LatestRestorableTime", s.Latest))
	}
	replicas := tree("ReadReplicaIdentifiers")
	for _, id := range t.replicas {
		replicas.in = append(replicas.in, leaf("ReadReplicaIdentifier", id))
	}
	n.in = append(n.in, replicas)
	n = n.with("GlobalClusterIdentifier", t.global)
	if len(t.states) > 1 {
		n.in = append(n.in, leaf("PercentProgress", strconv.Itoa(100/len(t.states))))
	}
	members := tree("DBClusterMembers")
	for _, key := range slices.Sorted(maps.Keys(s.things)) {
		if m := s.things[key]; m.cluster == t.id {
			members.in = append(members.in, tree("DBClusterMember", leaf("DBInstanceIdentifier", m.id), truth("IsClusterWriter", !m.reader), number("PromotionTier", 1)))
		}
	}
	n.in = append(n.in, members)
	return n
}

func (s *Service) automated(ask values) ([]node, error) {
	var all []node
	if id := ask.text("DBInstanceIdentifier"); id == SourceInstance {
		status := "active"
		if t := s.things["instance "+SourceInstance]; t == nil || t.resource != "db-SHOPPROD" {
			status = "retained"
		}
		all = append(all, tree("DBInstanceAutomatedBackup", leaf("DBInstanceIdentifier", id), leaf("DbiResourceId", "db-SHOPPROD"), leaf("Status", status), leaf("Engine", "postgres"), leaf("EngineVersion", s.Tools.Version),
			number("AllocatedStorage", 20), leaf("StorageType", "gp3"), truth("Encrypted", true), leaf("KmsKeyId", "arn:aws:kms:"+Region+":210987654321:key/shop"), leaf("MasterUsername", "postgres"),
			tree("RestoreWindow", at("EarliestTime", s.Snapshot), at("LatestTime", s.Latest))))
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree("DBInstanceAutomatedBackups", part...)}, err
}

func (s *Service) automatedClusters(ask values) ([]node, error) {
	var all []node
	if t := s.things["cluster "+SourceCluster]; ask.text("DBClusterIdentifier") == SourceCluster && (t == nil || t.resource != "cluster-SHOPAURORA") {
		all = append(all, tree("DBClusterAutomatedBackup", leaf("DBClusterIdentifier", SourceCluster), leaf("DbClusterResourceId", "cluster-SHOPAURORA"), leaf("Status", "retained"), leaf("Engine", "aurora-postgresql"),
			leaf("EngineVersion", s.Tools.Version), truth("StorageEncrypted", true), leaf("MasterUsername", "postgres"), tree("RestoreWindow", at("EarliestTime", s.Snapshot), at("LatestTime", s.Latest))))
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree("DBClusterAutomatedBackups", part...)}, err
}

// snapshots are more than fit on a page.
func (s *Service) snapshots(ask values) ([]node, error) {
	var all []node
	one := func(id, kind, status string, taken time.Time, version string) {
		options := "shop-options"
		if version != s.Tools.Version {
			options = "default:postgres-" + s.before()
		}
		n := tree("DBSnapshot", leaf("DBSnapshotIdentifier", id), leaf("DBInstanceIdentifier", SourceInstance), leaf("DbiResourceId", "db-SHOPPROD"), leaf("SnapshotType", kind), leaf("Status", status), leaf("Engine", "postgres"),
			leaf("EngineVersion", version), leaf("OptionGroupName", options), number("AllocatedStorage", 20), truth("Encrypted", true), leaf("MasterUsername", "postgres"))
		if !taken.IsZero() {
			n.in = append(n.in, at("SnapshotCreateTime", taken))
		}
		all = append(all, n)
	}
	if ask.text("DBInstanceIdentifier") == SourceInstance {
		one("rds:shop-prod-2026-01-01-03-10", "automated", "available", s.Snapshot.AddDate(0, 0, -2), s.Tools.Version)
		one("rds:shop-prod-2026-01-02-03-10", "automated", "available", s.Snapshot.AddDate(0, 0, -1), s.Tools.Version)
		one(Snapshot, "manual", "available", s.Snapshot, s.Tools.Version)
		one("shop-in-the-making", "manual", "creating", time.Time{}, s.Tools.Version)
		if s.upgraded {
			one(Upgraded, "manual", "available", s.Snapshot.AddDate(0, 0, -3), s.before()+".9")
		}
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree("DBSnapshots", part...)}, err
}

func (s *Service) clusterSnapshots(ask values) ([]node, error) {
	var all []node
	if ask.text("DBClusterIdentifier") == SourceCluster {
		all = append(all, tree("DBClusterSnapshot", leaf("DBClusterSnapshotIdentifier", ClusterSnapshot), leaf("DBClusterIdentifier", SourceCluster), leaf("DbClusterResourceId", "cluster-SHOPAURORA"), leaf("SnapshotType", "manual"),
			leaf("Status", "available"), leaf("Engine", "aurora-postgresql"), leaf("EngineVersion", s.Tools.Version), truth("StorageEncrypted", true), leaf("MasterUsername", "postgres"), at("SnapshotCreateTime", s.Snapshot)))
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree("DBClusterSnapshots", part...)}, err
}

func (s *Service) tell(ask values) ([]node, error) {
	var all []node
	for _, e := range s.events {
		if e.id == ask.text("SourceIdentifier") && "db-"+e.kind == ask.text("SourceType") {
			all = append(all, tree("Event", leaf("SourceIdentifier", e.id), leaf("SourceType", "db-"+e.kind), leaf("Message", e.message), at("Date", e.at), tree("EventCategories", leaf("EventCategory", "notification"))))
		}
	}
	part, marker, err := page(all, ask, s.Page)
	return []node{marker, tree("Events", part...)}, err
}
