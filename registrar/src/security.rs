//! Which security module confines this process, as its own label tells: container engines hide `/sys/fs/selinux`, so that
//! libraries think that SELinux is off.

use crate::sys::text;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecurityModule {
    /// SELinux labels this machine's files and processes.
    SeLinux,
    /// AppArmor confines this process, by the profile of this name.
    AppArmor(String),
}

impl SecurityModule {
    pub(crate) fn current() -> Option<Self> {
        Self::of(&text("/proc/filesystems"), &text("/proc/self/attr/current"))
    }

    /// Without a policy SELinux's label is `kernel`. AppArmor's profiles in a namespace have colons too, but there the
    /// kernel has no selinuxfs.
    fn of(file_systems: &str, current: &str) -> Option<Self> {
        let current = current.trim_matches(['\0', '\n']);
        let has_selinux = file_systems.lines().any(|line| line.split_whitespace().last() == Some("selinuxfs"));
        match current.split_once(" (") {
            _ if has_selinux && current.matches(':').count() >= 2 => Some(Self::SeLinux),
            Some((profile, _)) => Some(Self::AppArmor(profile.into())),
            None => None,
        }
    }

    /// What may forbid something, with what to do about it.
    pub(crate) fn suspicion() -> String {
        match Self::current() {
            Some(Self::SeLinux) => "SELinux may forbid it; in a container: --security-opt label=disable".into(),
            Some(Self::AppArmor(profile)) => {
                format!("AppArmor's {profile} may forbid it; in a container: --security-opt apparmor=unconfined")
            }
            None => "SELinux or AppArmor may forbid it; in a container: --security-opt label=disable".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_profiles_of_processes() {
        let with = "nodev\tsysfs\nnodev\tselinuxfs\n\text4\n";
        let se_linux = Some(SecurityModule::SeLinux);
        let profile = |name: &str| Some(SecurityModule::AppArmor(name.into()));
        let cases = [
            (with, "system_u:system_r:container_t:s0:c1,c2\0", se_linux.clone()),
            (with, "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0", se_linux),
            (with, "kernel\0", None),
            (with, "docker-default (enforce)\n", profile("docker-default")),
            ("", "lxd-a//&:lxd:unconfined (enforce)\n", profile("lxd-a//&:lxd:unconfined")),
            ("", "unconfined\n", None),
            (with, "", None),
            ("nodev\tsysfs\n", "system_u:system_r:container_t:s0:c1,c2\0", None),
        ];
        for (file_systems, current, expected) in cases {
            assert_eq!(SecurityModule::of(file_systems, current), expected, "{current}");
        }
    }
}
