package cnpg

import (
	"encoding/json"
	"time"
)

// metadata is what every resource of Kubernetes has.
type metadata struct {
	Name        string            `json:"name"`
	UID         string            `json:"uid,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"creationTimestamp,omitzero"`
	Deletion    *time.Time        `json:"deletionTimestamp,omitempty"`
}

// condition is one of a status.
type condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Message string    `json:"message"`
	Since   time.Time `json:"lastTransitionTime"`
}

// is reports whether a condition of a type holds, and since when it does or does not; nil
// where it is not told.
func is(all []condition, name string) *condition {
	for _, c := range all {
		if c.Type == name {
			return &c
		}
	}
	return nil
}

// cluster is a Cluster of CloudNativePG.
type cluster struct {
	Metadata metadata        `json:"metadata"`
	Spec     json.RawMessage `json:"spec"`
	Status   struct {
		Phase     string `json:"phase"`
		Reason    string `json:"phaseReason"`
		Instances int    `json:"instances"`
		Ready     int    `json:"readyInstances"`
		Primary   string `json:"currentPrimary"`
		Timeline  int    `json:"timelineID"`
		SystemID  string `json:"systemID"`
		Image     string `json:"image"`
		Data      struct {
			Major int `json:"majorVersion"`
		} `json:"pgDataImageInfo"`
		WriteService   string               `json:"writeService"`
		First          string               `json:"firstRecoverabilityPoint"`
		FirstByMethod  map[string]time.Time `json:"firstRecoverabilityPointByMethod"`
		LastSuccessful string               `json:"lastSuccessfulBackup"`
		LastFailed     string               `json:"lastFailedBackup"`
		Conditions     []condition          `json:"conditions"`
	} `json:"status"`
}

// The phases of a cluster that the engine acts on, as the operator writes them.
const healthy = "Cluster in healthy state"

// backup is a Backup of CloudNativePG.
type backup struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Cluster struct {
			Name string `json:"name"`
		} `json:"cluster"`
		Method string `json:"method"`
	} `json:"spec"`
	Status struct {
		Phase     string     `json:"phase"`
		Method    string     `json:"method"`
		ID        string     `json:"backupId"`
		Server    string     `json:"serverName"`
		Started   *time.Time `json:"startedAt"`
		Stopped   *time.Time `json:"stoppedAt"`
		BeginLSN  string     `json:"beginLSN"`
		EndLSN    string     `json:"endLSN"`
		Major     int        `json:"majorVersion"`
		Error     string     `json:"error"`
		Snapshots struct {
			Elements []snapshot `json:"elements"`
		} `json:"snapshotBackupStatus"`
	} `json:"status"`
}

// snapshot is a VolumeSnapshot of a backup: of its data, its log or a tablespace.
type snapshot struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Tablespace string `json:"tablespaceName,omitempty"`
}

// The methods of backups.
const (
	byStore    = "barmanObjectStore"
	bySnapshot = "volumeSnapshot"
)

// scheduled is a ScheduledBackup.
type scheduled struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Cluster struct {
			Name string `json:"name"`
		} `json:"cluster"`
		Suspend bool `json:"suspend"`
	} `json:"spec"`
}

// pod and job are those of a cluster.
type pod struct {
	Metadata metadata `json:"metadata"`
	Status   struct {
		Phase      string      `json:"phase"`
		Conditions []condition `json:"conditions"`
		Init       []container `json:"initContainerStatuses"`
		Containers []container `json:"containerStatuses"`
	} `json:"status"`
}

type container struct {
	Name  string `json:"name"`
	State struct {
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
	} `json:"state"`
}

type job struct {
	Metadata metadata `json:"metadata"`
	Status   struct {
		Failed     int         `json:"failed"`
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// claimed is a PersistentVolumeClaim.
type claimed struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Volume string `json:"volumeName"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// volume is a PersistentVolume, which is in no namespace.
type volume struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Policy string `json:"persistentVolumeReclaimPolicy"`
		// Claim is what claims it, or did last.
		Claim struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"claimRef"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// event is what Kubernetes tells of a resource.
type event struct {
	Metadata metadata `json:"metadata"`
	Object   struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"involvedObject"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Last    time.Time `json:"lastTimestamp"`
}

// secret holds texts by name; JSON has them in base64.
type secret struct {
	Data map[string][]byte `json:"data"`
}
