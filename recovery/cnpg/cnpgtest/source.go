package cnpgtest

import (
	"time"

	"comeback/enginetest/hosted"
)

// sourceSpec is the source's: with a store, and with much that a copy must not have.
func (s *Server) sourceSpec() map[string]any {
	return map[string]any{
		"instances": 3.0, "imageName": "ghcr.io/cloudnative-pg/postgresql:15.10",
		"storage": map[string]any{"size": "20Gi", "storageClass": "fast"}, "resources": map[string]any{"requests": map[string]any{"memory": "1Gi"}},
		// So short that no test waits for what is archived in an instant.
		"postgresql":            map[string]any{"parameters": map[string]any{"archive_timeout": "1ms", "max_connections": "200"}, "shared_preload_libraries": []any{"pg_stat_statements", "pg_cron", "pg_net", "timescaledb"}, "pg_hba": []any{"hostssl all all all ldap ldapserver=ldap ldapbindpasswd=" + hosted.Password, "hostnossl all all all reject"}, "synchronous": map[string]any{"method": "any", "number": 1.0}},
		"enableSuperuserAccess": true,
		"env":                   []any{map[string]any{"name": "PASSWORD", "value": hosted.Password}, map[string]any{"name": "REGION", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "store", "key": "region"}}}},
		"bootstrap":             map[string]any{"initdb": map[string]any{"database": "shop", "owner": "shop"}},
		"backup": map[string]any{"retentionPolicy": "30d", "barmanObjectStore": map[string]any{"destinationPath": "s3://shop-backups/cnpg", "s3Credentials": map[string]any{
			"accessKeyId": map[string]any{"name": "store", "key": "id"}, "secretAccessKey": map[string]any{"name": "store", "key": "key"}}}},
		"managed":           map[string]any{"roles": []any{map[string]any{"name": "reader", "ensure": "present"}}, "services": map[string]any{"additional": []any{map[string]any{"selectorType": "rw"}}}},
		"inheritedMetadata": map[string]any{"labels": map[string]any{"app": "shop"}},
		"monitoring":        map[string]any{"enablePodMonitor": true},
		"plugins":           []any{map[string]any{"name": "hibernate.example.com"}},
	}
}

func (s *Server) sourceStatus() map[string]any {
	return map[string]any{"phase": "Cluster in healthy state", "instances": 3, "readyInstances": 3, "currentPrimary": Source + "-1", "timelineID": 1, "systemID": s.System,
		"image": "ghcr.io/cloudnative-pg/postgresql:15.10", "writeService": Source + "-rw",
		"firstRecoverabilityPoint": stamp(s.Snapshot), "lastSuccessfulBackup": stamp(s.Snapshot),
		"conditions": []any{map[string]any{"type": "ContinuousArchiving", "status": "True", "reason": "ContinuousArchivingSuccess", "message": "Continuous archiving is working", "lastTransitionTime": stamp(s.Snapshot)},
			map[string]any{"type": "Ready", "status": "True", "lastTransitionTime": stamp(s.Snapshot)}}}
}

// backups are those of the source, and one of another cluster.
func (s *Server) backups() []any {
	one := func(name, of string, status map[string]any) any {
		return map[string]any{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": map[string]any{"name": name, "uid": "uid-" + name},
			"spec": map[string]any{"cluster": map[string]any{"name": of}, "method": "barmanObjectStore"}, "status": status}
	}
	done := func(id string, at time.Time) map[string]any {
		return map[string]any{"phase": "completed", "method": "barmanObjectStore", "backupId": id, "serverName": Source, "startedAt": stamp(at), "stoppedAt": stamp(at), "beginLSN": "0/2000028", "endLSN": s.BackupEnd, "majorVersion": 15}
	}
	return []any{
		one("other-nightly", "other", done("20260101T020000", s.Snapshot)),
		one(Source+"-old", Source, done("20250101T020000", s.Snapshot.AddDate(-1, 0, 0))),
		one(Backup, Source, done("20261128T020000", s.Snapshot)),
		one(Source+"-broken", Source, map[string]any{"phase": "failed", "error": "can't execute backup: store is full"}),
		one(Source+"-now", Source, map[string]any{"phase": "running", "startedAt": stamp(s.Latest)}),
	}
}
