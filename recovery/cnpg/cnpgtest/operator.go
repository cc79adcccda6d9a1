package cnpgtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest/hosted"
)

// The states of a cluster that comes up.
const (
	created = iota
	settingUp
	restoring
	waiting
	healthyState
)

var phases = map[int]string{settingUp: "Setting up primary", restoring: "Setting up primary", waiting: "Waiting for the instances to become active", healthyState: "Cluster in healthy state"}

// look gives a cluster, and brings one that comes up a state further.
func (s *Server) look(ctx context.Context, name string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == Source && s.source != nil {
		return map[string]any{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": map[string]any{"name": Source, "uid": "uid-source", "creationTimestamp": stamp(s.since)}, "spec": s.source, "status": s.status}, nil
	}
	m := s.made[name]
	if m == nil || m.gone {
		return nil, refuse(404, "NotFound", "clusters.postgresql.cnpg.io %q not found", name)
	}
	if m.looks > 0 {
		if m.looks--; m.looks == 0 {
			m.holds = ""
		}
	}
	if m.state < healthyState && len(m.failed) == 0 && m.holds == "" {
		if m.state == restoring {
			if err := s.restore(context.WithoutCancel(ctx), m); err != nil {
				return nil, err
			}
		}
		if len(m.failed) == 0 {
			m.state++
		}
	}
	out := maps.Clone(m.manifest)
	ready := 0
	if m.state == healthyState {
		ready = 1
	}
	out["metadata"] = maps.Clone(part(m.manifest, "metadata"))
	part(out, "metadata")["uid"] = m.uid
	out["status"] = map[string]any{"phase": phases[m.state], "instances": 1, "readyInstances": ready, "currentPrimary": name + "-1", "timelineID": 2, "systemID": s.System, "writeService": name + "-rw"}
	return out, nil
}

// create admits a cluster as the operator's webhook does.
func (s *Server) create(r *http.Request) (any, error) {
	var m map[string]any
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		return nil, refuse(400, "BadRequest", "%s", err)
	}
	name, _ := part(m, "metadata")["name"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made[name] != nil {
		return nil, refuse(409, "AlreadyExists", "clusters.postgresql.cnpg.io %q already exists", name)
	}
	spec := part(m, "spec")
	invalid := func(field, message string) error {
		return refuse(422, "Invalid", "Cluster.postgresql.cnpg.io %q is invalid: spec.%s: %s", name, field, message)
	}
	again := part(spec, "bootstrap", "recovery")
	target := part(again, "recoveryTarget")
	stops := 0
	for _, key := range []string{"targetTime", "targetXID", "targetLSN", "targetName", "targetImmediate"} {
		if target[key] != nil {
			stops++
		}
	}
	externals, _ := spec["externalClusters"].([]any)
	known := slices.ContainsFunc(externals, func(e any) bool { return part(e.(map[string]any))["name"] == again["source"] })
	switch {
	case len(name) > 50:
		return nil, invalid("metadata.name", "the maximum length of a cluster name is 50 characters")
	case m["apiVersion"] != "postgresql.cnpg.io/v1" || m["kind"] != "Cluster":
		return nil, refuse(400, "BadRequest", "the object is no Cluster")
	case spec["storage"] == nil:
		return nil, invalid("storage.size", "Size not configured")
	case !known:
		return nil, invalid("bootstrap.recovery.source", "External cluster not found")
	case stops > 1:
		return nil, invalid("bootstrap.recovery.recoveryTarget", "Recovery target options are mutually exclusive")
	case spec["backup"] != nil || spec["plugins"] != nil:
		return nil, invalid("backup", "Expected empty archive")
	}
	s.uids++
	uid := fmt.Sprintf("uid-%d", s.uids)
	s.made[name] = &made{manifest: m, uid: uid, data: s.dataDir(uid), volumes: 2}
	s.volumes["pv-"+uid] = &claimedVolume{of: name + "-1", looks: 2}
	s.calls = append(s.calls, "create "+name)
	return m, nil
}

// drop deletes a cluster, if it is the very one that is meant.
func (s *Server) drop(r *http.Request, name string) (any, error) {
	var o struct {
		Preconditions struct {
			UID string `json:"uid"`
		} `json:"preconditions"`
	}
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		return nil, refuse(400, "BadRequest", "%s", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.made[name]
	if m == nil || m.gone {
		return nil, refuse(404, "NotFound", "clusters.postgresql.cnpg.io %q not found", name)
	}
	if o.Preconditions.UID != m.uid {
		return nil, refuse(409, "Conflict", "Operation cannot be fulfilled on clusters.postgresql.cnpg.io %q: Precondition failed: UID in precondition: %s, UID in object meta: %s", name, o.Preconditions.UID, m.uid)
	}
	s.calls = append(s.calls, "delete "+name)
	m.gone = true
	return map[string]any{"kind": "Status", "status": "Success"}, s.erase(m)
}

// restore is what the recovery job does; that it fails is the cluster's state.
func (s *Server) restore(ctx context.Context, m *made) error {
	target := part(m.manifest, "spec", "bootstrap", "recovery", "recoveryTarget")
	var stop string
	for key, parameter := range map[string]string{"targetXID": "xid", "targetLSN": "lsn"} {
		if v, is := target[key].(string); is {
			stop = fmt.Sprintf("recovery_target_%s = '%s'", parameter, v)
		}
	}
	if v, is := target["targetTime"].(string); is {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return refuse(422, "Invalid", "targetTime: %s", err)
		}
		stop = hosted.ToTime(at)
	}
	if target["targetImmediate"] == true {
		stop = hosted.ToTime(time.Time{})
	}
	if target["exclusive"] == true {
		stop += "\nrecovery_target_inclusive = off"
	}
	if err := s.Restore(m.data, stop); err != nil {
		return err
	}
	port, err := s.Serve(ctx, m.data)
	if err != nil {
		log, errRead := os.ReadFile(m.data + ".log")
		if errRead != nil {
			return errRead
		}
		for line := range strings.Lines(string(log)) {
			if state, words, is := strings.Cut(line, ":FATAL:  "); is {
				m.failed = append(m.failed, map[string]any{"error_severity": "FATAL", "sql_state_code": state, "message": strings.TrimSpace(words)})
			}
		}
		if len(m.failed) == 0 {
			return err
		}
		return nil
	}
	m.port = port
	if part(m.manifest, "spec")["enableSuperuserAccess"] != true {
		return nil
	}
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", s.Path("socket"), port))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "alter role postgres password '"+hosted.Password+"'")
	return errors.Join(err, conn.Close(ctx))
}

// children are what the operator has made for clusters, and what is told of it.
func (s *Server) children(resource, selector string) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	for _, name := range slices.Sorted(maps.Keys(s.made)) {
		m := s.made[name]
		if selector != "" && !strings.Contains(selector, "cnpg.io/cluster="+name) {
			continue
		}
		if m.gone && resource == "persistentvolumeclaims" {
			if m.volumes--; m.volumes < 0 { // each look brings their end nearer
				if v := s.volumes["pv-"+m.uid]; v != nil {
					v.released = true
				}
				delete(s.made, name)
				continue
			}
		} else if m.gone {
			continue
		}
		all = append(all, m.children(resource, name)...)
	}
	return all
}

func (m *made) children(resource, name string) []any {
	one := func(suffix string, labels map[string]any, status map[string]any) []any {
		labels["cnpg.io/cluster"] = name
		return []any{map[string]any{"apiVersion": "v1", "metadata": map[string]any{"name": name + suffix, "namespace": Namespace, "labels": labels}, "status": status,
			"spec": map[string]any{"volumeName": "pv-" + m.uid, "containers": []any{map[string]any{"name": "postgres", "ports": []any{map[string]any{"name": "postgresql", "containerPort": 5432}}}}}}}
	}
	told := func(kind, object, typ, reason, message string) any {
		return map[string]any{"metadata": map[string]any{"name": object + ".1"}, "involvedObject": map[string]any{"kind": kind, "name": object}, "type": typ, "reason": reason, "message": message, "lastTimestamp": stamp(time.Unix(0, 0))}
	}
	recovery := map[string]any{"cnpg.io/jobRole": "full-recovery"}
	switch {
	case resource == "persistentvolumeclaims" && m.state > created:
		phase := "Bound"
		if m.holds == "volume" {
			phase = "Pending"
		}
		return one("-1", map[string]any{"cnpg.io/pvcRole": "PG_DATA"}, map[string]any{"phase": phase})
	case resource == "jobs" && len(m.failed) > 0:
		return one("-1-full-recovery", recovery, map[string]any{"failed": 1, "conditions": []any{map[string]any{"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit", "lastTransitionTime": stamp(time.Unix(0, 0))}}})
	case resource == "pods" && m.state == healthyState:
		pods := one("-1", map[string]any{"cnpg.io/instanceRole": "primary"}, map[string]any{"phase": "Running", "conditions": []any{map[string]any{"type": "Ready", "status": "True", "lastTransitionTime": stamp(time.Unix(0, 0))}}})
		return pods
	case resource == "pods" && len(m.failed) > 0:
		return one("-1-full-recovery-x7k2p", recovery, map[string]any{"phase": "Failed"})
	case resource == "pods" && m.state > created && m.holds != "quota":
		status := map[string]any{"phase": "Pending"}
		switch m.holds {
		case "image":
			status["containerStatuses"] = []any{map[string]any{"name": "full-recovery", "state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff", "message": `Back-off pulling image "ghcr.io/cloudnative-pg/postgresql:15.10"`}}}}
		case "node":
			status["conditions"] = []any{map[string]any{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient memory.", "lastTransitionTime": stamp(time.Unix(0, 0))}}
		case "":
			status["phase"] = "Running"
		case "raised":
			status["phase"] = "Running"
		case "evicted":
			status["phase"] = "Running"
			return append(one("-1-full-recovery-b4d2q", recovery, map[string]any{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}), one("-1-full-recovery-x7k2p", recovery, status)...)
		}
		return one("-1-full-recovery-x7k2p", recovery, status)
	case resource == "events":
		all := []any{told("Cluster", name, "Normal", "CreatingInstance", "Primary instance (from backup)")}
		switch m.holds {
		case "quota":
			all = append(all, told("Job", name+"-1-full-recovery", "Warning", "FailedCreate", `Error creating: pods "x" is forbidden: exceeded quota: compute, requested: memory=1Gi, used: memory=8Gi, limited: memory=8Gi`))
		case "raised":
			all = append(all, told("Job", name+"-1-full-recovery", "Warning", "FailedCreate", `Error creating: pods "x" is forbidden: exceeded quota: compute, requested: memory=1Gi, used: memory=8Gi, limited: memory=8Gi`),
				told("Job", name+"-1-full-recovery", "Normal", "SuccessfulCreate", "Created pod: "+name+"-1-full-recovery-x7k2p"))
		case "volume":
			all = append(all, told("PersistentVolumeClaim", name+"-1", "Warning", "ProvisioningFailed", `storageclass.storage.k8s.io "fast" not found`))
		}
		return all
	}
	return nil
}

// log is what the pod of a recovery has said, as the operator's programs write it.
func (s *Server) log(pod string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, m := range s.made {
		if strings.HasPrefix(pod, name+"-") {
			var log strings.Builder
			log.WriteString(`{"level":"info","msg":"Recovering existing backup"}` + "\n")
			for _, record := range m.failed {
				b, err := json.Marshal(map[string]any{"level": "info", "msg": "record", "record": record})
				if err != nil {
					return nil, err
				}
				log.Write(append(b, '\n'))
			}
			return log.String() + `{"level":"error","msg":"Error while restoring a backup","error":"exit status 1"}` + "\n", nil
		}
	}
	return nil, refuse(404, "NotFound", "pods %q not found", pod)
}

func (s *Server) secret(name string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	role := hosted.Role
	cluster, super := strings.CutSuffix(name, "-superuser")
	switch m := s.made[cluster]; {
	case super && m != nil && part(m.manifest, "spec")["enableSuperuserAccess"] == true:
		role = "postgres"
	case name != Source+"-app":
		return nil, refuse(404, "NotFound", "secrets %q not found", name)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "metadata": map[string]any{"name": name},
		"data": map[string]any{"username": []byte(role), "password": []byte(hosted.Password), "dbname": []byte(hosted.Database)}}, nil
}

func (s *Server) service(name string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cluster, is := strings.CutSuffix(name, "-rw")
	if !is || s.made[cluster] == nil {
		return nil, refuse(404, "NotFound", "services %q not found", name)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name, "namespace": Namespace},
		"spec": map[string]any{"selector": map[string]any{"cnpg.io/cluster": cluster, "cnpg.io/instanceRole": "primary"}, "ports": []any{map[string]any{"port": 5432, "targetPort": 5432}}}}, nil
}
