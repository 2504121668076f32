# `cmake --install`: the tools, the library with its headers, the compiler plug-in, the recipes, and what CMake and pkg-config need.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS fourfold fourfold-emulate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS fourfold_shared EXPORT FourfoldTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set_target_properties(fourfold_shared PROPERTIES EXPORT_NAME fourfold)
# Out of the loader's way: who wants it says so with LD_LIBRARY_PATH.
install(TARGETS fourfold_libcuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/fourfold/emulated)
install(DIRECTORY runtime/include/fourfold DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
# Where the library looks: share/fourfold/recipes next to the folder it is in.
install(DIRECTORY kernels_spec/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fourfold/recipes)
# PYTHONPATH=PREFIX/share/fourfold/python finds the library of the prefix.
install(DIRECTORY python/fourfold DESTINATION ${CMAKE_INSTALL_DATADIR}/fourfold/python PATTERN "__pycache__" EXCLUDE)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(FOURFOLD_BUILD_COMPILER)
  # These two link LLVM's shared library, where it is.
  set_target_properties(fourfold-opt fourfold-lsp-server PROPERTIES INSTALL_RPATH ${LLVM_LIBRARY_DIR} BUILD_WITH_INSTALL_RPATH ON)
  install(TARGETS fourfold-opt fourfold-lsp-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  # Beside the library, where it is looked for; a module, which nothing links.
  install(TARGETS fourfold_jit LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

set(FOURFOLD_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Fourfold)
install(EXPORT FourfoldTargets NAMESPACE Fourfold:: DESTINATION ${FOURFOLD_CMAKE_DIR})
configure_package_config_file(cmake/FourfoldConfig.cmake.in ${PROJECT_BINARY_DIR}/cmake/FourfoldConfig.cmake
                              INSTALL_DESTINATION ${FOURFOLD_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/FourfoldConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cmake/FourfoldConfig.cmake ${PROJECT_BINARY_DIR}/cmake/FourfoldConfigVersion.cmake
        DESTINATION ${FOURFOLD_CMAKE_DIR})
configure_file(cmake/fourfold.pc.in ${PROJECT_BINARY_DIR}/cmake/fourfold.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/fourfold.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
