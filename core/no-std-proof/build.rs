//! Links without the C runtime, the C library and anything dynamic: what is not in the program is not there.

fn main() {
    for argument in ["-nostartfiles", "-nostdlib", "-static", "-Wl,--gc-sections"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
