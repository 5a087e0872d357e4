# The Rust half of src/text: tokenizers, minijinja and parquet behind one C header, as a static library.
# It takes zstd from the system, as the C++ half does. Cargo decides by itself what is out of date; one target folder serves every preset.
set(SAFESAIL_RUST_DIR ${CMAKE_SOURCE_DIR}/src/text/rust)
set(SAFESAIL_CARGO_TARGET ${CMAKE_SOURCE_DIR}/build/cargo)
set(SAFESAIL_RUST_LIB ${SAFESAIL_CARGO_TARGET}/release/libsafesail_text_rs.a)
# Ubuntu's versioned toolchain (scripts/setup.sh installs it where the default is too old) before all others; looked
# for each time, for a later version may be asked for.
file(STRINGS ${SAFESAIL_RUST_DIR}/Cargo.toml rust_version REGEX "^rust-version")
string(REGEX MATCH "[0-9.]+" rust_version "${rust_version}")
find_program(cargo cargo HINTS /usr/lib/rust-${rust_version}/bin REQUIRED NO_CACHE)
cmake_path(GET cargo PARENT_PATH cargo_bin)
file(GLOB_RECURSE rust_sources CONFIGURE_DEPENDS ${SAFESAIL_RUST_DIR}/src/*.rs)

add_custom_command(
  OUTPUT ${SAFESAIL_RUST_LIB}
  COMMAND ${CMAKE_COMMAND} -E env "PATH=${cargo_bin}:$ENV{PATH}" ${cargo} build --quiet --release --locked --manifest-path ${SAFESAIL_RUST_DIR}/Cargo.toml
          --target-dir ${SAFESAIL_CARGO_TARGET}
  COMMAND ${CMAKE_COMMAND} -E touch ${SAFESAIL_RUST_LIB}
  DEPENDS ${rust_sources} ${SAFESAIL_RUST_DIR}/Cargo.toml ${SAFESAIL_RUST_DIR}/Cargo.lock
  COMMENT "Building the Rust text library (tokenizers, minijinja, parquet)"
  USES_TERMINAL)
add_custom_target(safesail_text_rs_build DEPENDS ${SAFESAIL_RUST_LIB})
add_library(safesail_text_rs STATIC IMPORTED)
set_target_properties(safesail_text_rs PROPERTIES
  IMPORTED_LOCATION ${SAFESAIL_RUST_LIB} INTERFACE_LINK_LIBRARIES "PkgConfig::ZSTD;dl;pthread;m")
add_dependencies(safesail_text_rs safesail_text_rs_build)
