// Package rds is the engine for PostgreSQL in Amazon RDS and Aurora: the moments are
// those of the service's automated backups, to the second, and its snapshots; what is
// restored is a new instance, or a new cluster with one instance, made like the source.
//
//	database:
//	  kind: postgres
//	  with: rds
//	  instance: shop-prod          # or, of Aurora, cluster: shop-prod
//	  region: eu-central-1
//	  database: shop
//	  user: shop
//	  password: "${DATABASE_PASSWORD}"
//	  ca: /etc/ssl/rds-ca.pem
//	  cost_per_hour: "0.29 USD"
//
// The service keeps the backups itself, so that they lie in no copy: a copy of the
// runbook keeps what comeback keeps for itself, and the engine answers for the one that
// `copy:` names. Each survey asks the service anew.
//
// A restore asks for a new instance with the source's class, storage, parameter group,
// subnets, security groups, tags and key, as they were when the plan was made; where the
// source is gone, the runbook says what of them the service does not keep. Roles and
// passwords are the source's. The steps are, for an instance: ask for it, wait until it
// is available, sign on; of Aurora the cluster comes first. Whatever a killed run has
// asked for is found again by its name and its tags, and never asked for twice.
//
// The package promises that nothing is deleted but what carries the tags of the run that
// claims it, that a claim is only given back when the service no longer knows its name,
// that a restored server is never taken for the source, and that every call is answered
// or told: a denied one by the action that it needs. What was asked for is waited for also
// where a run is stopped, and looked for more than once before it counts as not made. It
// needs
//
//	rds:DescribeDBInstances, rds:DescribeDBInstanceAutomatedBackups, rds:DescribeDBSnapshots,
//	rds:DescribeDBClusters, rds:DescribeDBClusterAutomatedBackups, rds:DescribeDBClusterSnapshots,
//	rds:DescribeEvents, rds:AddTagsToResource, rds:RemoveTagsFromResource,
//	rds:RestoreDBInstanceToPointInTime, rds:RestoreDBInstanceFromDBSnapshot,
//	rds:RestoreDBClusterToPointInTime, rds:RestoreDBClusterFromSnapshot, rds:CreateDBInstance,
//	rds:DeleteDBInstance, rds:DeleteDBCluster
//
// A rehearsal deletes what it has made. A recovery leaves it running, in one of two ways.
// `into: hand-over` gives people its address: nothing live is written to. `into: rename`
// calls what is live SOURCE-old-RUN and gives its name to what came back, and needs
// rds:ModifyDBInstance or rds:ModifyDBCluster, too; which of the two is live is never
// remembered but read, by the id that the service gives each. Until the switch is open it
// is undone when the run cannot go on; what was live by then is kept, because people may
// have written to it. Nobody's connections end by that: the application is stopped first.
// What is left running, or put aside, is deleted by a run of `comeback expire`: only
// where it can be asked who is connected to it and nobody is, with a last snapshot
// (rds:CreateDBSnapshot or rds:CreateDBClusterSnapshot), and its automated backups stay.
package rds
