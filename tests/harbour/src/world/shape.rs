//! Which tenants a world has.

/// The tenants of a world. [`Shape::full`] and [`Shape::small`] are the usual ones.
#[derive(Clone, Debug)]
pub struct Shape {
    pub tenants: Vec<Tenant>,
    /// The Application that brings the orders to the cluster.
    pub parent: String,
    /// The namespace of user-defined Applications.
    pub developers: String,
}

/// A tenant, its order and its repository `<owner>/deployments`.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: String,
    pub display_name: String,
    /// The owner of the tenant's repository.
    pub owner: String,
    /// The number of the order's folder `wave-<n>`.
    pub wave: u32,
    /// Whether the order's values are a block scalar that holds YAML, or a
    /// nested mapping.
    pub block_scalar: bool,
    pub environments: Vec<Environment>,
}

#[derive(Clone, Debug)]
pub struct Environment {
    pub name: String,
    pub folders: Vec<Folder>,
}

/// What a folder of an environment holds; each is an Application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// `web`: a Deployment of two Pods, a Service, a ConfigMap and a Secret.
    Web,
    /// `db`: a StatefulSet with the claim `data-db-0`, which Git does not know,
    /// and a Secret.
    Db,
    /// `files`: a Deployment with the claim `uploads`, which is in Git, and a ConfigMap.
    Files,
    /// `own`: a user-defined Application in [`Shape::developers`], which has a
    /// ConfigMap in the environment.
    OwnApplication,
}

impl Folder {
    /// The folder's name, the last part of its Application's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Db => "db",
            Self::Files => "files",
            Self::OwnApplication => "own",
        }
    }

    /// The claim that the folder's workload uses.
    pub fn claim(self) -> Option<&'static str> {
        match self {
            Self::Db => Some("data-db-0"),
            Self::Files => Some("uploads"),
            Self::Web | Self::OwnApplication => None,
        }
    }

    /// How many Pods the folder's workload has.
    pub fn pods(self) -> usize {
        match self {
            Self::Web => 2,
            Self::Db | Self::Files => 1,
            Self::OwnApplication => 0,
        }
    }
}

impl Shape {
    /// `poseidon1` with `dev` and `test`, ordered in a block scalar, and
    /// `triton2` with `prod`, ordered in a nested mapping.
    pub fn full() -> Self {
        let all = [Folder::Web, Folder::Db, Folder::Files];
        Self {
            tenants: vec![
                Tenant {
                    name: "poseidon1".to_owned(),
                    display_name: "Poseidon".to_owned(),
                    owner: "poseidon".to_owned(),
                    wave: 2,
                    block_scalar: true,
                    environments: vec![
                        Environment::new("dev", &all),
                        Environment::new("test", &[Folder::Web, Folder::Db]),
                    ],
                },
                Tenant {
                    name: "triton2".to_owned(),
                    display_name: "Triton".to_owned(),
                    owner: "triton".to_owned(),
                    wave: 5,
                    block_scalar: false,
                    environments: vec![Environment::new("prod", &all)],
                },
            ],
            parent: "tenants".to_owned(),
            developers: "gitops-developers".to_owned(),
        }
    }

    /// `poseidon1` with `dev` alone, and in that the folder `files` alone.
    pub fn small() -> Self {
        let mut shape = Self::full();
        shape.tenants.truncate(1);
        for tenant in &mut shape.tenants {
            tenant.environments = vec![Environment::new("dev", &[Folder::Files])];
        }
        shape
    }

    /// The same with a user-defined Application in each environment.
    #[must_use]
    pub fn with_own_applications(mut self) -> Self {
        for tenant in &mut self.tenants {
            for environment in &mut tenant.environments {
                environment.folders.push(Folder::OwnApplication);
            }
        }
        self
    }
}

impl Environment {
    pub fn new(name: &str, folders: &[Folder]) -> Self {
        Self {
            name: name.to_owned(),
            folders: folders.to_vec(),
        }
    }
}

impl Tenant {
    /// The order's path in the repository of orders.
    pub fn order_path(&self) -> String {
        format!(
            "application-definitions/wave-{}/{}-tenant.yaml",
            self.wave, self.name
        )
    }

    /// The tenant's namespaces with their environments.
    pub fn namespaces(&self) -> impl Iterator<Item = (String, &Environment)> {
        let named = |environment: &Environment| format!("{}-{}", self.name, environment.name);
        let environments = self.environments.iter();
        environments.map(move |environment| (named(environment), environment))
    }
}
