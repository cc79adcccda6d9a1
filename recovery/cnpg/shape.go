package cnpg

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

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
	"priorityClassName", "env", "envFrom", "serviceAccountTemplate", "serviceAccountName", "projectedVolumeTemplate", "seccompProfile", "podSecurityContext", "securityContext", "logLevel"}

// replaced are the parts that a restore says itself, and those that mean nothing to it.
var replaced = []string{"bootstrap", "instances", "externalClusters", "description", "primaryUpdateStrategy", "primaryUpdateMethod", "replicationSlots", "minSyncReplicas", "maxSyncReplicas"}

// acting are libraries that act by themselves on a restored server.
var acting = []string{"pg_cron"}

// shapeOf is how what is restored of a spec is made.
func shapeOf(name string, spec map[string]any) shape {
	s := shape{Spec: map[string]any{}, Instances: 1}
	for _, key := range slices.Sorted(maps.Keys(spec)) {
		switch {
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

// postgresql is the configuration of a server that does not act by itself: it consumes
// nobody's replication slot and runs no jobs.
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
	if all, ok := own["shared_preload_libraries"].([]any); ok {
		var libraries []any
		for _, l := range all {
			if text, ok := l.(string); ok && slices.Contains(acting, text) {
				s.Left = append(s.Left, "postgresql.shared_preload_libraries "+text)
				continue
			}
			libraries = append(libraries, l)
		}
		own["shared_preload_libraries"] = libraries
	}
	parameters := maps.Clone(at(source, "parameters"))
	if parameters == nil {
		parameters = map[string]any{}
	}
	parameters["max_logical_replication_workers"] = "0"
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
	s.Owner, s.Secret = cmp.Or(s.Owner, s.Database), cmp.Or(s.Secret, name+"-app")
}

// behind is how old a commit is at most before it is archived; zero where nothing says so.
func behind(spec map[string]any) time.Duration {
	set := text(at(at(spec, "postgresql"), "parameters"), "archive_timeout")
	if set == "" {
		return 5 * time.Minute // the operator's default
	}
	if strings.Trim(set, "0123456789") == "" {
		set += "s"
	}
	set = strings.NewReplacer("min", "m", "d", "h", " ", "").Replace(set)
	d, err := time.ParseDuration(set)
	if err != nil {
		return 0
	}
	return d
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
