package cnpg

import (
	"encoding/json"
	"maps"

	"comeback/recovery"
)

// manifest is the new Cluster under a claim.
func (p place) manifest(claim recovery.Resource) ([]byte, error) {
	f := p.Facts
	spec := maps.Clone(f.Shape.Spec)
	if spec == nil {
		return nil, recovery.Errorf("write `manifest: FILE` into the component, then make a new plan", "nothing says how the cluster %s was made", f.Source).WithExit(recovery.Usage)
	}
	spec["instances"] = f.Shape.Instances
	again := map[string]any{"database": f.Shape.Database, "owner": f.Shape.Owner}
	if f.Shape.Secret != "" {
		again["secret"] = map[string]any{"name": f.Shape.Secret}
	}
	stop := map[string]any{}
	b, err := json.Marshal(f.Target)
	if err == nil {
		err = json.Unmarshal(b, &stop)
	}
	if err != nil {
		return nil, err
	}
	if f.Shape.Origin != nil {
		spec["externalClusters"] = []any{f.Shape.Origin}
		again["source"] = f.Shape.Origin["name"]
	}
	if len(f.Snapshots) > 0 {
		again["volumeSnapshots"] = volumes(f.Snapshots)
	} else {
		stop["backupID"] = f.ID
	}
	if len(stop) > 0 {
		again["recoveryTarget"] = stop
	}
	spec["bootstrap"] = map[string]any{"recovery": again}
	return json.Marshal(map[string]any{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "spec": spec, "metadata": map[string]any{
		"name": p.name(), "namespace": p.Namespace, "labels": map[string]string{labelRun: p.run},
		"annotations": map[string]string{markClaim: claim.Details["claim"], markOf: p.of()}}})
}

// volumes are snapshots as what a cluster's volumes are made of.
func volumes(all []snapshot) map[string]any {
	v := map[string]any{}
	spaces := map[string]any{}
	for _, s := range all {
		of := map[string]any{"name": s.Name, "kind": "VolumeSnapshot", "apiGroup": "snapshot.storage.k8s.io"}
		switch s.Type {
		case "PG_DATA":
			v["storage"] = of
		case "PG_WAL":
			v["walStorage"] = of
		case "PG_TABLESPACE":
			spaces[s.Tablespace] = of
		}
	}
	if len(spaces) > 0 {
		v["tablespaceStorage"] = spaces
	}
	return v
}
