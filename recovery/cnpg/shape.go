package cnpg

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v4"

	"comeback/recovery"
)

// shape is how a cluster is made that is restored like a source.
type shape struct {
	// Spec is the new cluster's without bootstrap, instances and external clusters.
	Spec map[string]any `json:"spec"`
	// Origin is the external cluster that the log is read from; nil where nothing keeps it.
	Origin map[string]any `json:"origin,omitempty"`
	// Database, Owner and Secret are the application's.
	Database string `json:"database"`
	Owner    string `json:"owner"`
	Secret   string `json:"secret,omitempty"`
	// Left is what of the source's spec the new one does not have.
	Left      []string `json:"left,omitempty"`
	Instances int      `json:"instances"`
	// Source is how many instances the source has.
	Source int `json:"source,omitempty"`
}

// kept are the parts of a spec that make a server and reach nobody else. Whatever is not
// listed here is left out.
var kept = []string{"imageName", "imageCatalogRef", "imagePullPolicy", "imagePullSecrets", "schedulerName", "postgresUID", "postgresGID", "postgresql",
	"superuserSecret", "enableSuperuserAccess", "storage", "walStorage", "tablespaces", "ephemeralVolumeSource", "ephemeralVolumesSizeLimit",
	"startDelay", "stopDelay", "smartShutdownTimeout", "switchoverDelay", "failoverDelay", "livenessProbeTimeout", "probes", "affinity", "topologySpreadConstraints", "resources",
	"priorityClassName", "envFrom", "serviceAccountTemplate", "serviceAccountName", "projectedVolumeTemplate", "seccompProfile", "podSecurityContext", "securityContext", "logLevel"}

// replaced are the parts that a restore says itself, and those that mean nothing to it.
var replaced = []string{"bootstrap", "instances", "externalClusters", "description", "primaryUpdateStrategy", "primaryUpdateMethod", "replicationSlots", "minSyncReplicas", "maxSyncReplicas"}

// passive are libraries that reach nobody and run no jobs, timescaledb as long as it has no
// workers. What others do is not known here: they are left out.
var passive = []string{"age", "anon", "auth_delay", "auto_explain", "credcheck", "orioledb", "passwordcheck", "pg_hint_plan", "pg_ivm", "pg_prewarm", "pg_qualstats", "pg_show_plans",
	"pg_stat_kcache", "pg_stat_monitor", "pg_stat_statements", "pg_store_plans", "pg_wait_sampling", "pgaudit", "pgauditlogtofile", "plugin_debugger", "set_user", "timescaledb", "vchord"}

// still are the parameters that keep a server from acting by itself, with when people set
// them as the source has them.
var still = map[string]string{
	"max_logical_replication_workers":    "if it subscribes to others",
	"timescaledb.max_background_workers": "so that its jobs run",
}

// shapeOf is how what is restored of a spec is made.
func shapeOf(name string, spec map[string]any) shape {
	s := shape{Spec: map[string]any{}, Instances: 1}
	for _, key := range slices.Sorted(maps.Keys(spec)) {
		switch {
		case key == "env":
			s.env(spec)
		case slices.Contains(kept, key):
			s.Spec[key] = spec[key]
		case key == "managed":
			managed := at(spec, key)
			if managed["roles"] != nil {
				s.Spec[key] = map[string]any{"roles": managed["roles"]}
			}
			for _, part := range slices.Sorted(maps.Keys(managed)) {
				if part != "roles" {
					s.Left = append(s.Left, key+"."+part)
				}
			}
		case !slices.Contains(replaced, key):
			s.Left = append(s.Left, key)
		}
	}
	s.postgresql(at(spec, "postgresql"))
	s.Origin = origin(name, spec)
	s.application(name, at(spec, "bootstrap"))
	if n, ok := spec["instances"].(float64); ok {
		s.Source = int(n)
	}
	return s
}

// env is the environment of a server as far as it names where a value comes from: one that
// is written out may be a secret, and what is restored is recorded.
func (s *shape) env(spec map[string]any) {
	all, _ := spec["env"].([]any)
	var named []any
	for _, v := range all {
		if v, _ := v.(map[string]any); v["value"] != nil {
			s.Left = append(s.Left, "env "+text(v, "name"))
			continue
		}
		named = append(named, v)
	}
	if named != nil {
		s.Spec["env"] = named
	}
}

// postgresql is the configuration of a server that does not act by itself: it consumes
// nobody's replication slot and runs no jobs. It has no password that is written out.
func (s *shape) postgresql(source map[string]any) {
	own := maps.Clone(source)
	if own == nil {
		own = map[string]any{}
	}
	for _, key := range []string{"synchronous", "syncReplicaElectionConstraint"} {
		if own[key] != nil {
			s.Left = append(s.Left, "postgresql."+key)
			delete(own, key)
		}
	}
	if lines, ok := own["pg_hba"].([]any); ok {
		own["pg_hba"] = slices.DeleteFunc(slices.Clone(lines), func(l any) bool {
			line, _ := l.(string)
			secret := strings.Contains(line, "ldapbindpasswd") || strings.Contains(line, "radiussecrets")
			if secret {
				s.Left = append(s.Left, "a line of postgresql.pg_hba with a password")
			}
			return secret
		})
	}
	all, _ := own["shared_preload_libraries"].([]any)
	delete(own, "shared_preload_libraries")
	var libraries []any
	for _, l := range all {
		name, _ := l.(string)
		name = strings.TrimPrefix(name, "$libdir/")
		if !slices.Contains(passive, name) {
			s.Left = append(s.Left, "postgresql.shared_preload_libraries "+name)
			continue
		}
		libraries = append(libraries, name)
	}
	if libraries != nil {
		own["shared_preload_libraries"] = libraries
	}
	parameters := maps.Clone(at(source, "parameters"))
	if parameters == nil {
		parameters = map[string]any{}
	}
	for name := range still {
		if library, _, is := strings.Cut(name, "."); !is || slices.Contains(libraries, any(library)) {
			parameters[name] = "0"
		}
	}
	own["parameters"] = parameters
	s.Spec["postgresql"] = own
}

// origin is where the source's log is kept, as what is restored reads it.
func origin(name string, spec map[string]any) map[string]any {
	if store := at(at(spec, "backup"), byStore); store != nil {
		own := maps.Clone(store)
		if own["serverName"] == nil {
			own["serverName"] = name
		}
		return map[string]any{"name": "origin", byStore: own}
	}
	plugins, _ := spec["plugins"].([]any)
	for _, p := range plugins {
		plugin, _ := p.(map[string]any)
		if archives, _ := plugin["isWALArchiver"].(bool); !archives {
			continue
		}
		parameters := maps.Clone(at(plugin, "parameters"))
		if parameters == nil {
			parameters = map[string]any{}
		}
		if parameters["serverName"] == nil {
			parameters["serverName"] = name
		}
		return map[string]any{"name": "origin", "plugin": map[string]any{"name": plugin["name"], "parameters": parameters}}
	}
	return nil
}

// application is the database that the source was made with.
func (s *shape) application(name string, bootstrap map[string]any) {
	s.Database = "app"
	for _, way := range []string{"initdb", "recovery", "pg_basebackup"} {
		if b := at(bootstrap, way); b != nil {
			s.Database = cmp.Or(text(b, "database"), s.Database)
			s.Owner, s.Secret = text(b, "owner"), text(at(b, "secret"), "name")
		}
	}
	s.Owner, s.Secret = cmp.Or(s.Owner, s.Database), cmp.Or(s.Secret, generated(name))
}

// generated is the application's secret that the operator makes for a cluster, and removes with
// it.
func generated(cluster string) string { return cluster + "-app" }

// units are those of PostgreSQL's parameters of time; archive_timeout without one is in
// seconds.
var units = map[string]time.Duration{"us": time.Microsecond, "ms": time.Millisecond, "": time.Second, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// behind is how old a commit is at most before it is archived; zero where nothing says so.
func behind(spec map[string]any) time.Duration {
	set := strings.TrimSpace(text(at(at(spec, "postgresql"), "parameters"), "archive_timeout"))
	if set == "" {
		return 5 * time.Minute // the operator's default
	}
	number := strings.TrimRightFunc(set, unicode.IsLetter)
	unit := units[set[len(number):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n * float64(unit))
}

// says is the shape in a few words.
func (s shape) says() string {
	parts := []string{cmp.Or(text(s.Spec, "imageName"), "an image of the operator's choice")}
	if size := text(at(s.Spec, "storage"), "size"); size != "" {
		parts = append(parts, size+" of storage")
	}
	if s.Instances > 1 {
		parts = append(parts, fmt.Sprintf("%d instances", s.Instances))
	}
	return strings.Join(parts, ", ")
}

// at is a part of a manifest that has parts; nil where there is none.
func at(m map[string]any, key string) map[string]any {
	part, _ := m[key].(map[string]any)
	return part
}

// text is a part of a manifest that is a text, or a number; "" where there is none.
func text(m map[string]any, key string) string {
	switch v := m[key].(type) {
	case string:
		return v
	case float64, bool:
		return fmt.Sprint(v)
	}
	return ""
}

// readManifest reads the spec of a Cluster from a file with one or several resources.
func readManifest(path, name string) (map[string]any, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, recovery.Errorf("correct `manifest:` of the component", "read the source's manifest: %w", err).WithExit(recovery.Usage)
	}
	files := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var resource map[string]any
		if err := files.Decode(&resource); err != nil {
			return nil, recovery.Errorf("write the file of the Cluster "+name+" into `manifest:` of the component", "%s does not hold the Cluster %s: %w", path, name, err).WithExit(recovery.Usage)
		}
		if resource["kind"] != "Cluster" || text(at(resource, "metadata"), "name") != name {
			continue
		}
		// As the API would tell it: numbers are those of JSON.
		var spec map[string]any
		b, err := json.Marshal(resource["spec"])
		if err == nil {
			err = json.Unmarshal(b, &spec)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return spec, nil
	}
}
