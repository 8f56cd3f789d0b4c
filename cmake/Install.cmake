# What goes where, in components that a distribution makes packages of. Everything finds what it
# needs from where it stands, so that the installed folder may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(doc_dir ${CMAKE_INSTALL_DATAROOTDIR}/doc/pianola)
set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Pianola)

install(TARGETS pianola RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tool)
if(PIANOLA_BUILD_COMPILER)
  # LLVM's libraries stand apart from the system's.
  set_target_properties(pianola-compiler PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS pianola-compiler RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT compiler)
endif()

install(TARGETS pianola_runtime EXPORT PianolaTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(header pianola.hpp roll.h runtime.h text.h)
  install(FILES include/pianola/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pianola
          COMPONENT development)
endforeach()
install(EXPORT PianolaTargets FILE PianolaConfig.cmake NAMESPACE Pianola:: DESTINATION ${cmake_dir}
        COMPONENT development)
# Until 1.0 a minor version may differ from the one before.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/PianolaConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
           BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE prefix_from_pkgconfig)
configure_file(cmake/pianola.pc.in pianola.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/PianolaConfigVersion.cmake DESTINATION ${cmake_dir}
        COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/pianola.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)

install(FILES README.md CHANGELOG.md DESTINATION ${doc_dir} COMPONENT documentation)
install(DIRECTORY docs examples DESTINATION ${doc_dir} COMPONENT documentation)
