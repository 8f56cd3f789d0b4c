# Debian packages, a component each: `cpack` in the build folder writes them there.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pianola)
set(CPACK_PACKAGE_VENDOR Pianola)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL library tool development documentation)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The Pianola maintainers <maintainers@pianola.invalid>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(same "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")

# pianola_package(<COMPONENT> <name> <section> <summary> [<VARIABLE> <value>]...)
function(pianola_package component name section summary)
  set(variables PACKAGE_NAME ${name} PACKAGE_SECTION ${section}
      DESCRIPTION "${summary}\nPianola compiles language models into rolls, and plays these." ${ARGN})
  while(variables)
    list(POP_FRONT variables variable value)
    set(CPACK_DEBIAN_${component}_${variable} "${value}" PARENT_SCOPE)
  endwhile()
endfunction()

pianola_package(LIBRARY libpianola0 libs "plays compiled language models (library)")
pianola_package(TOOL pianola science "plays compiled language models"
                PACKAGE_SUGGESTS "pianola-compiler ${same}")
pianola_package(DEVELOPMENT libpianola-dev libdevel "plays compiled language models (headers)"
                PACKAGE_DEPENDS "libpianola0 ${same}" PACKAGE_SHLIBDEPS OFF)
pianola_package(DOCUMENTATION pianola-doc doc "plays compiled language models (documentation)"
                PACKAGE_ARCHITECTURE all PACKAGE_SHLIBDEPS OFF)
if(PIANOLA_BUILD_COMPILER)
  list(APPEND CPACK_COMPONENTS_ALL compiler)
  pianola_package(COMPILER pianola-compiler science "compiles language models into rolls"
                  PACKAGE_DEPENDS "pianola ${same}")
endif()
include(CPack)
