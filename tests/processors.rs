//! A processor that lacks what the build needs is told so. QEMU is one of 2008.

#[test]
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
fn an_old_processor_is_refused_in_words() {
    let emulated = |model: &str| {
        let output = std::process::Command::new("qemu-x86_64")
            .args(["-cpu", model, env!("CARGO_BIN_EXE_reconcile"), "--version"])
            .output()
            .expect("qemu-x86_64 is installed (apt-get install qemu-user)");
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said, String::from_utf8(output.stdout).unwrap())
    };
    let (status, said, data) = emulated("Nehalem");
    assert_eq!((status, data.as_str()), (Some(2), ""), "{said}");
    assert!(said.starts_with("error: this build of reconcile needs a processor with AVX2"), "{said}");
    assert!(said.contains("hint: build it for this machine: RUSTFLAGS="), "{said}");
    let (status, said, data) = emulated("Haswell");
    assert_eq!(status, Some(0), "{said}");
    assert!(data.starts_with("reconcile "), "{data}");
}
