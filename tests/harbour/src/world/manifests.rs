//! The text of the seeded orders and manifests.

use std::fmt::Write;

use super::shape::{Environment, Folder, Tenant};

/// The tenant's order, as people write it.
pub(super) fn order(tenant: &Tenant) -> String {
    let Tenant { name, owner, .. } = tenant;
    let mut values = format!(
        "namespace:\n  name: {name}\n  displayName: \"{}\"      # shown in the console\n",
        tenant.display_name
    );
    values.push_str("environments:\n");
    for environment in &tenant.environments {
        let _ = writeln!(values, "  - name: {}", environment.name);
    }
    let _ = write!(
        values,
        "argocd:\n  enable_auto_defined_apps: true\n  # Agreed with the platform team.\n  \
         syncPolicy:\n    allowEmpty: true\n    selfHeal: true\n    prune: true\n  \
         main_git_repository:\n    \
         repourl: \"https://git.example.com/{owner}/deployments.git\"\n    basepath: \"\"\n"
    );
    values.push_str(
        "backup:\n  backuplabel: \"backupresource: true\"\n  take_backup: true\n  schedules:\n    \
         - schedule: \"0 1 * * *\"\n      name: daily\n      ttl: 168h0m0s\n    \
         - schedule: \"0 2 * * 0\"      # Sundays\n      name: weekly\n      ttl: 720h0m0s\n",
    );
    let head = if tenant.block_scalar {
        "values: |"
    } else {
        "values:"
    };
    let mut order = format!("# Order of the tenant {name}.\nappname: {name}\n{head}\n");
    for line in values.lines() {
        let _ = writeln!(order, "  {line}");
    }
    order
}

/// The files of an environment: path in the tenant's repository, and text.
/// User-defined Applications go to the namespace `developers`.
pub(super) fn files(
    tenant: &Tenant,
    environment: &Environment,
    developers: &str,
) -> Vec<(String, String)> {
    let place = |folder: &str, file: &str| format!("{}/{folder}/{file}", environment.name);
    let mut files = Vec::new();
    for folder in &environment.folders {
        match folder {
            Folder::Web => {
                files.push((
                    place("web", "web.yaml"),
                    web(&tenant.name, &environment.name),
                ));
                files.push((place("web", "secret.yaml"), secret("web-credentials")));
            }
            Folder::Db => {
                files.push((place("db", "db.yaml"), database()));
                files.push((place("db", "secret.yaml"), secret("db-credentials")));
            }
            Folder::Files => {
                files.push((place("files", "files.yaml"), file_store()));
            }
            Folder::OwnApplication => {
                let application = own_application(tenant, environment, developers);
                files.push((place("own", "application.yaml"), application));
                let name = format!("reports/{}/settings.yaml", environment.name);
                files.push((name, config_map("reports", "title: Reports")));
            }
        }
    }
    files
}

fn web(tenant: &str, environment: &str) -> String {
    let config = config_map("web", &format!("title: {tenant} {environment}"));
    format!(
        "{config}---
apiVersion: v1
kind: Service
metadata:
  name: web
  labels: {{app: web}}
spec:
  selector: {{app: web}}
  ports:
    - {{name: http, port: 80, targetPort: 8080, protocol: TCP}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {{app: web}}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
        - name: web
          image: registry.example.com/web:1.4
          envFrom:
            - configMapRef: {{name: web}}
"
    )
}

fn database() -> String {
    "apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  labels: {app: db}
spec:
  replicas: 1
  serviceName: db
  selector:
    matchLabels: {app: db}
  template:
    metadata:
      labels: {app: db}
    spec:
      containers:
        - name: db
          image: registry.example.com/db:16
          volumeMounts:
            - {name: data, mountPath: /var/lib/db}
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        resources:
          requests: {storage: 1Gi}
"
    .to_owned()
}

fn file_store() -> String {
    let config = config_map("files", "keep: forever");
    format!(
        "{config}---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: uploads
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests: {{storage: 2Gi}}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: files
  labels: {{app: files}}
spec:
  replicas: 1
  strategy: {{type: Recreate}}
  selector:
    matchLabels: {{app: files}}
  template:
    metadata:
      labels: {{app: files}}
    spec:
      containers:
        - name: files
          image: registry.example.com/files:2.0
          volumeMounts:
            - {{name: uploads, mountPath: /srv}}
      volumes:
        - name: uploads
          persistentVolumeClaim: {{claimName: uploads}}
"
    )
}

fn config_map(name: &str, line: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  settings: |
    {line}
"
    )
}

fn secret(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata:
  name: {name}
type: Opaque
stringData:
  user: app
  password: not-a-secret
"
    )
}

/// A user-defined Application: it lives outside the platform's reach, and the
/// order's self-heal does not concern it.
fn own_application(tenant: &Tenant, environment: &Environment, developers: &str) -> String {
    let Tenant { name, owner, .. } = tenant;
    let environment = &environment.name;
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {name}-{environment}-reports
  namespace: {developers}
spec:
  project: default
  source:
    repoURL: https://git.example.com/{owner}/deployments.git
    targetRevision: HEAD
    path: reports/{environment}
  destination:
    server: https://kubernetes.default.svc
    namespace: {name}-{environment}
  syncPolicy:
    automated:
      selfHeal: true
      prune: true
"
    )
}
