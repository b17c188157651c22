//! Which platform an image is for (OCI image specification, `config.md`), in Go's words as the specification has it.

use serde_json::Value;

/// This machine's. Most others have the same name in Rust (`std::env::consts::ARCH`) and in Go (`runtime.GOARCH`).
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// What an image of this configuration was made for, as `OS/ARCHITECTURE[/VARIANT]`.
pub fn of(config: &Value) -> String {
    let parts = ["os", "architecture", "variant"].into_iter();
    let parts = parts.filter_map(|name| config.get(name)?.as_str());
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Whether an image of this configuration was made for `platform`, which is `OS/ARCHITECTURE[/VARIANT]`; most say no variant.
pub fn is_for(config: &Value, platform: &str) -> bool {
    let of = |name| config.get(name).and_then(Value::as_str);
    let mut parts = platform.split('/');
    let is_same = ["os", "architecture"]
        .into_iter()
        .all(|name| of(name) == parts.next());
    let variants = (of("variant"), parts.next());
    let contradicts =
        matches!(variants, (Some(own), Some(other)) if !own.is_empty() && own != other);
    is_same && !contradicts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn platforms_differ_by_what_both_say() {
        let fits =
            |config: &Value, platforms: [&str; 4]| platforms.map(|name| is_for(config, name));
        let platforms = ["linux/arm", "linux/arm/v7", "linux/arm/v6", "linux/amd64"];
        let mut config = json!({"os": "linux", "architecture": "arm"});
        assert_eq!(fits(&config, platforms), [true, true, true, false]);
        config["variant"] = "v7".into();
        assert_eq!(fits(&config, platforms), [true, true, false, false]);
        assert_eq!(fits(&json!({}), platforms), [false; 4]);
    }

    #[test]
    fn a_platform_is_named_by_what_the_configuration_says() {
        let plain = json!({"os": "linux", "architecture": "amd64", "variant": ""});
        assert_eq!(of(&plain), "linux/amd64");
        let variant = json!({"variant": "v7", "architecture": "arm", "os": "linux"});
        assert_eq!(of(&variant), "linux/arm/v7");
    }
}
